"""Google's own SDK through the gateway, changed in base URL and key only."""

import json
import sqlite3

import pytest
from google import genai
from google.genai import errors, types

from tests.faults.scripted import (
    LAST,
    RESET,
    SSE,
    ScriptedUpstream,
    chunk,
    data,
    event,
    refusal,
)
from tests.running import LICENSE, settings_for

pytestmark = pytest.mark.filterwarnings("ignore")

MODEL = "gemini-2.5-flash"


@pytest.fixture
def client(base_url):
    return _client(base_url.removesuffix("/v1"), "demo")


def _client(url: str, key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))


def test_an_answer(client):
    answer = client.models.generate_content(model=MODEL, contents="echo hello there")
    assert "hello there" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count > 0


def test_a_stream(client):
    chunks = list(
        client.models.generate_content_stream(model=MODEL, contents="Tell a story of 5 parts")
    )
    assert len(chunks) > 1
    assert "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_a_chat_that_calls_functions_and_thinks(client):
    """The SDK runs them and sends signatures back by itself."""
    called = []

    def weather(city: str) -> str:
        """Return the weather of a city."""
        called.append(city)
        return "sunny"

    config = types.GenerateContentConfig(
        tools=[weather], thinking_config=types.ThinkingConfig(include_thoughts=True)
    )
    chat = client.chats.create(model="gemini-3.5-flash", config=config)
    assert chat.send_message("What is the weather in Paris?").text
    assert called
    assert chat.send_message("echo thanks").text


def test_tokens_are_counted(client):
    assert client.models.count_tokens(model=MODEL, contents="Hello there").total_tokens > 0


def test_models_are_listed_and_found(client):
    names = [model.name for model in client.models.list()]
    assert f"models/{MODEL}" in names
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"


def test_vectors(client):
    answer = client.models.embed_content(
        model="gemini-embedding-001",
        contents=["Tulips", "Roses"],
        config=types.EmbedContentConfig(output_dimensionality=8),
    )
    assert [len(one.values) for one in answer.embeddings] == [8, 8]


@pytest.mark.parametrize(
    ("model", "contents", "code", "status"),
    [
        ("gemini-0", "Hi", 404, "NOT_FOUND"),
        (MODEL, [], 400, "INVALID_ARGUMENT"),
    ],
)
def test_refusals_of_gemini_are_told_as_it_tells_them(client, model, contents, code, status):
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(
            model=model, contents=contents or types.Content(role="user", parts=[])
        )
    assert (refused.value.code, refused.value.status) == (code, status)


def test_a_license_that_is_none_is_refused_in_googles_words(base_url):
    client = _client(base_url.removesuffix("/v1"), "wrong")
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model=MODEL, contents="Hi")
    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")


async def test_a_limit_is_told_in_googles_words(running, simulator):
    settings = settings_for(
        simulator.url, licenses=[{"id": "tester", "key": LICENSE, "requests_per_day": 1}]
    )
    async with running(settings) as gateway:
        models = _client(gateway.url, LICENSE).aio.models
        assert (await models.generate_content(model=MODEL, contents="Hi")).text
        with pytest.raises(errors.ClientError) as refused:
            await models.generate_content(model=MODEL, contents="Hi")
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")


async def test_a_refusal_changes_nothing_of_what_was_sent(running):
    """Native programs are told it: the gateway mends only what it translated."""
    message = "Penalty is not enabled for this model"
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", message)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        with pytest.raises(errors.ClientError, match=message):
            await _client(gateway.url, LICENSE).aio.models.generate_content(
                model=MODEL,
                contents="Hi",
                config=types.GenerateContentConfig(presence_penalty=1),
            )
        assert len(upstream.seen) == 1


async def read_into(got: list[str], client: genai.Client) -> None:
    models = client.aio.models
    async for one in await models.generate_content_stream(model=MODEL, contents="Hi"):
        got += [one.text]


async def test_a_stream_that_breaks_is_an_error_of_the_sdk(running):
    broken = [SSE, chunk(data(event("Once upon"))), RESET]
    async with (
        ScriptedUpstream(broken) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        got: list[str] = []
        with pytest.raises(errors.APIError):
            await read_into(got, _client(gateway.url, LICENSE))
    assert got == ["Once upon"]


async def test_silence_is_kept_warm_and_says_nothing_to_the_sdk(running):
    """Before the first event as well as between two."""
    slow = [SSE, 0.5, chunk(data(event("Hel"))), 0.5, chunk(data(LAST)), b"0\r\n\r\n"]
    quick = {"commit_after_s": 0.1, "keepalive_s": 0.1}
    async with (
        ScriptedUpstream(slow) as upstream,
        running(settings_for(upstream.url, upstream=quick)) as gateway,
    ):
        base = f"{gateway.url}/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
        payload = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
        headers = {"x-goog-api-key": LICENSE}
        async with gateway.session.post(base, json=payload, headers=headers) as response:
            body = await response.read()
        assert body.startswith(b"\r\n")
        frames = [line[6:] for line in body.split(b"\r\n") if line]
        assert [json.loads(frame) for frame in frames] == [event("Hel"), LAST]
        assert body.count(b"\r\n") > 2 + 2 * len(frames)
        got: list[str] = []
        await read_into(got, _client(gateway.url, LICENSE))
        assert got == ["Hel", "end"]


async def test_what_is_used_is_booked_and_logged(running, simulator, tmp_path):
    path = tmp_path / "ledger.db"
    settings = settings_for(simulator.url, database={"url": f"sqlite+aiosqlite:///{path}"})
    async with running(settings) as gateway:
        models = _client(gateway.url, LICENSE).aio.models
        whole = await models.generate_content(model=MODEL, contents="Hi")
        async for _ in await models.generate_content_stream(model=MODEL, contents="Hi"):
            pass
        await models.embed_content(model="gemini-embedding-001", contents="Hi")
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT model, total, finish, status FROM usage ORDER BY at")
        first, second, third = rows.fetchall()
    assert first == (MODEL, whole.usage_metadata.total_token_count, "STOP", 200)
    assert second[0] == MODEL
    assert second[1] > 0
    assert third[0] == "gemini-embedding-001"
    assert third[1] > 0


async def test_a_license_without_the_model_is_refused(running, simulator):
    settings = settings_for(
        simulator.url, licenses=[{"id": "tester", "key": LICENSE, "models": ["gemini-3*"]}]
    )
    async with running(settings) as gateway:
        with pytest.raises(errors.ClientError) as refused:
            await _client(gateway.url, LICENSE).aio.models.generate_content(
                model=MODEL, contents="Hi"
            )
    assert (refused.value.code, refused.value.status) == (403, "PERMISSION_DENIED")
