"""The public openai SDK against a running gateway, changed in base URL and key only."""

import json
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

pytestmark = pytest.mark.filterwarnings("ignore")

MODEL = "gemini-2.5-flash"
HELLO = [{"role": "user", "content": "echo hello there"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def client(base_url):
    with openai.OpenAI(base_url=base_url, api_key="demo", max_retries=0) as one:
        yield one


@pytest.fixture
async def aclient(base_url):
    async with openai.AsyncOpenAI(base_url=base_url, api_key="demo", max_retries=0) as one:
        yield one


def text_of(chunks) -> str:
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)


def test_a_whole_answer(client):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.role == "assistant"
    assert "hello there" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens >= answer.usage.prompt_tokens > 0
    assert (answer.object, answer.model) == ("chat.completion", MODEL)


def test_a_stream_says_what_the_whole_answer_says(client):
    whole = client.chat.completions.create(model=MODEL, messages=HELLO)
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options=options
        )
    )
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == [
        "stop"
    ]
    assert chunks[-1].usage == whole.usage
    assert {(c.id, c.created, c.model) for c in chunks} == {
        (chunks[0].id, chunks[0].created, MODEL)
    }


async def test_the_asynchronous_client(aclient):
    whole = await aclient.chat.completions.create(model=MODEL, messages=HELLO)
    stream = await aclient.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert text_of([chunk async for chunk in stream]) == whole.choices[0].message.content


def test_the_stream_helper(client):
    with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        for _ in stream:
            pass
        assert "hello there" in stream.get_final_completion().choices[0].message.content


def test_headers_are_there_for_those_who_look(client):
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, extra_headers={"X-Request-Id": "mine-1"}
    )
    assert raw.headers["x-request-id"] == "mine-1"
    assert "x-gateway-version" in raw.headers
    assert raw.parse()._request_id == "mine-1"


def test_a_wrong_license(base_url):
    wrong = openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError) as caught:
        wrong.chat.completions.create(model=MODEL, messages=HELLO)
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model(client, stream):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gemini-none", messages=HELLO, stream=stream)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


def test_a_bad_body_names_the_culprit(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": 5}])
    assert caught.value.param == "messages[0].content"


def test_models(client):
    ids = {model.id for model in client.models.list()}
    assert {MODEL, f"{MODEL}-thinking", "gemini-2.0-flash"} <= ids
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


def test_several_candidates(client):
    for model in (MODEL, "gemini-3.7-flash"):
        answer = client.chat.completions.create(model=model, messages=HELLO, n=2)
        assert [choice.index for choice in answer.choices] == [0, 1]
        assert all(choice.finish_reason == "stop" for choice in answer.choices)


def test_thinking_is_told_apart_from_the_answer(client):
    answer = client.chat.completions.create(model=f"{MODEL}-thinking", messages=HELLO)
    message = answer.choices[0].message
    assert message.reasoning_content
    assert message.reasoning_content not in message.content
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0


@pytest.mark.parametrize("model", [MODEL, "gemini-3-flash-preview", "gemini-3.5-flash"])
@pytest.mark.parametrize("question", ["What is the weather in Paris?", "parallel: Paris and Rome?"])
def test_a_tool_loop_runs_to_its_end(client, model, question):
    messages = [{"role": "user", "content": question}]
    first = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    messages.append(first.choices[0].message.model_dump(exclude_unset=True))
    for call in first.choices[0].message.tool_calls:
        assert "city" in json.loads(call.function.arguments)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    last = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].message.content


@pytest.mark.parametrize("model", [MODEL, "gemini-3-flash-preview", "gemini-3.5-flash"])
def test_a_streamed_tool_loop_of_a_client_that_drops_unknown_fields(client, model):
    """Reported in BerriAI/litellm#16893."""
    messages = [{"role": "user", "content": "parallel: weather in Paris and Rome?"}]
    calls: dict[int, dict] = {}
    for chunk in client.chat.completions.create(
        model=model, messages=messages, tools=[WEATHER], stream=True
    ):
        for delta in chunk.choices[0].delta.tool_calls or ():
            call = calls.setdefault(delta.index, {"id": delta.id, "name": "", "arguments": ""})
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""
    assert len({call["id"] for call in calls.values()}) == len(calls) >= 1
    turn = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in calls.values()
    ]
    messages.append({"role": "assistant", "content": None, "tool_calls": turn})
    messages += [
        {"role": "tool", "tool_call_id": call["id"], "content": '{"sky": "blue"}'} for call in turn
    ]
    last = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert last.choices[0].finish_reason == "stop"


class Leaf(BaseModel):
    name: str
    color: Literal["red", "green"]


class Tree(BaseModel):
    root: Leaf
    children: list["Tree"]
    either: int | str


@pytest.mark.parametrize("model", [MODEL, "gemini-3-flash-preview"])
def test_nested_recursive_and_union_models_are_parsed(client, model):
    answer = client.chat.completions.parse(
        model=model,
        messages=[{"role": "user", "content": "Describe a tree"}],
        response_format=Tree,
    )
    assert isinstance(answer.choices[0].message.parsed, Tree)


def test_json_mode(client):
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Give me JSON"}],
        response_format={"type": "json_object"},
    )
    json.loads(answer.choices[0].message.content)


def test_log_probabilities(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, logprobs=True, top_logprobs=2
    )
    for token in answer.choices[0].logprobs.content:
        assert bytes(token.bytes).decode() == token.token
        assert len(token.top_logprobs) <= 2


def test_an_image_comes_as_markdown_that_any_chat_shows(client):
    answer = client.chat.completions.create(
        model="gemini-2.5-flash-image", messages=[{"role": "user", "content": "draw a cat"}]
    )
    assert "](data:image/png;base64," in answer.choices[0].message.content


def test_speech(client):
    answer = client.chat.completions.create(
        model="gemini-3.8-flash-tts",
        messages=[{"role": "user", "content": "say hi"}],
        modalities=["audio"],
        audio={"voice": "alloy", "format": "wav"},
    )
    assert answer.choices[0].message.audio.data.startswith("UklGR")
