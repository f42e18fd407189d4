"""Google's own SDK uses the simulator."""

import asyncio

import pytest
from google import genai
from google.genai import errors, types

# The SDK's asynchronous client subclasses aiohttp's.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

FLASH, NEW = "gemini-2.5-flash", "gemini-3.5-flash"
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        )
    ]
)


@pytest.fixture
def client(simulator):
    with genai.Client(api_key="k", http_options={"base_url": simulator.url}) as made:
        yield made


async def test_generates_whole_and_streamed(client):
    whole = await client.aio.models.generate_content(model=FLASH, contents="echo good day")
    assert whole.text == "good day"
    assert whole.usage_metadata.total_token_count > 0
    events = await client.aio.models.generate_content_stream(
        model=NEW, contents="story of 3 chunks"
    )
    texts = [event.text async for event in events]
    assert texts == [f"Chunk {at} of the story. " for at in (1, 2, 3)] + [""]


async def test_the_synchronous_client_works_too(client):
    def talk():
        whole = client.models.generate_content(model=FLASH, contents="echo sync").text
        events = client.models.generate_content_stream(model=FLASH, contents="echo a b c d")
        return whole, "".join(event.text for event in events)

    assert await asyncio.to_thread(talk) == ("sync", "a b c d")


async def test_counts_lists_shows_and_embeds(client):
    models = client.aio.models
    assert (await models.count_tokens(model=FLASH, contents="abcd")).total_tokens == 1
    assert len([model async for model in await models.list(config={"page_size": 10})]) > 20
    assert (await models.get(model=FLASH)).name == f"models/{FLASH}"
    embedded = await models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert [len(held.values) for held in embedded.embeddings] == [3072, 3072]


async def test_a_tool_loop_with_signatures_comes_to_its_end(client):
    config = types.GenerateContentConfig(tools=[TOOL])
    contents = [types.Content(role="user", parts=[types.Part(text="Weather in Berlin?")])]
    first = await client.aio.models.generate_content(model=NEW, contents=contents, config=config)
    (call,) = first.function_calls
    assert (call.name, call.args) == ("weather", {"city": "Berlin"})
    result = types.FunctionResponse(id=call.id, name=call.name, response={"sky": "blue"})
    contents += [
        first.candidates[0].content,
        types.Content(role="user", parts=[types.Part(function_response=result)]),
    ]
    last = await client.aio.models.generate_content(model=NEW, contents=contents, config=config)
    assert last.text == 'weather answered {"sky":"blue"}.'


async def test_a_chat_keeps_its_history(client):
    chat = client.aio.chats.create(model=NEW)
    assert (await chat.send_message("echo one")).text == "one"
    assert (await chat.send_message("echo two")).text == "two"


async def test_files_are_uploaded_polled_used_and_deleted(client, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    file = await client.aio.files.upload(file=path)
    assert (file.state, file.size_bytes) == (types.FileState.PROCESSING, 4)
    question = [file, "What is it?"]
    with pytest.raises(errors.ClientError, match="not in an ACTIVE state"):
        await client.aio.models.generate_content(model=FLASH, contents=question)
    while file.state is types.FileState.PROCESSING:
        file = await client.aio.files.get(name=file.name)
    answer = await client.aio.models.generate_content(model=FLASH, contents=question)
    assert file.uri in answer.text
    assert [held.name async for held in await client.aio.files.list()] == [file.name]
    await client.aio.files.delete(name=file.name)
    with pytest.raises(errors.ClientError):
        await client.aio.files.get(name=file.name)


async def test_refusals_become_the_errors_of_the_sdk(client):
    with pytest.raises(errors.ClientError) as caught:
        await client.aio.models.generate_content(model="gemini-2.0-flash", contents="hello")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
