"""Gemini's own API on the wire: what goes up, what comes down, and what is refused."""

import json

import pytest

from tests.discovery import SENT
from tests.faults.scripted import LAST, ScriptedUpstream, answer, event, stream
from tests.running import LICENSE, settings_for

MODEL = "gemini-2.5-flash"


async def test_what_is_sent_goes_up_as_it_came(running):
    """So does what comes back, new fields too; the key stays here."""
    body = {
        "contents": [{"parts": [{"text": "Hi"}]}],
        "generationConfig": {"seed": 0},
        "labels": {},
    }
    error = {**LAST, "newField": {"a": 1}}
    async with (
        ScriptedUpstream(answer(200, error), stream(event("Hel"), error)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        base = f"{gateway.url}/v1beta/models/{MODEL}"
        url = f"{base}:generateContent?key={LICENSE}"
        async with gateway.session.post(url, json=body) as response:
            assert (response.status, await response.json()) == (200, error)
        url = f"{base}:streamGenerateContent?alt=sse&key={LICENSE}"
        async with gateway.session.post(url, json=body) as response:
            body_ = await response.read()
        assert [json.loads(one[6:]) for one in body_.split(b"\r\n\r\n")[:-1]] == [
            event("Hel"),
            error,
        ]
        for seen in upstream.seen:
            assert seen.body == body
            assert LICENSE not in seen.path
            assert seen.path.startswith(f"/v1beta/models/{MODEL}:")


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "status"),
    [
        ("POST", f"{MODEL}:streamGenerateContent", {"contents": []}, 400, "INVALID_ARGUMENT"),
        ("POST", f"{MODEL}:generateContent", {"generationConfig": 5}, 400, "INVALID_ARGUMENT"),
        (
            "POST",
            f"{MODEL}:generateContent",
            {"generationConfig": {"maxOutputTokens": 10**12}},
            400,
            "INVALID_ARGUMENT",
        ),
        ("POST", f"{MODEL}:batchEmbedContents", {"requests": [5]}, 400, "INVALID_ARGUMENT"),
        ("POST", f"{MODEL}:predict", {}, 404, "NOT_FOUND"),
        ("GET", "nothing", None, 404, "NOT_FOUND"),
        ("DELETE", MODEL, None, 405, "UNIMPLEMENTED"),
    ],
)
async def test_what_cannot_be_done_is_told_in_googles_envelope(
    running, simulator, method, path, body, code, status
):
    async with running(settings_for(simulator.url)) as gateway:
        url, headers = f"{gateway.url}/v1beta/models/{path}", {"x-goog-api-key": LICENSE}
        async with gateway.session.request(method, url, json=body, headers=headers) as response:
            error = (await response.json())["error"]
    assert (response.status, error["code"], error["status"]) == (code, code, status)


HOSTILE = [
    {"contents": 5},
    {"contents": [5]},
    {"messages": [{"content": [{"type": "image_url", "image_url": 5}]}]},
    {"generationConfig": []},
    {"generationConfig": {"candidateCount": "x"}},
    {"generationConfig": {"responseModalities": 5}},
    {"generation_config": {"max_output_tokens": 10**20}},
    {"requests": [{"model": 5}]},
    {"tools": {}},
    {"model": "models/another"},
    {"action": "countTokens", "model": 5},
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("action", ["generateContent", "embedContent", "batchEmbedContents"])
async def test_no_body_is_a_fault_of_the_gateway(running, simulator, body, action):
    async with running(settings_for(simulator.url)) as gateway:
        url = f"{gateway.url}/v1/models/{MODEL}:{action}?key={LICENSE}"
        async with gateway.session.post(url, json=body) as response:
            error = (await response.json())["error"]
    assert response.status == error["code"]
    # No chat model makes vectors.
    known = {400: "INVALID_ARGUMENT"} | ({404: "NOT_FOUND"} if "mbed" in action else {})
    assert known[error["code"]] == error["status"]
    # What the client sends wrong is for Gemini to judge, and goes up as it came.
    SENT.faults.clear()


async def test_a_model_may_stand_in_the_body_as_well(running, simulator):
    body = {"model": f"models/{MODEL}", "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    async with running(settings_for(simulator.url)) as gateway:
        url = f"{gateway.url}/v1beta/models/{MODEL}:generateContent?key={LICENSE}"
        async with gateway.session.post(url, json=body) as response:
            assert response.status == 200
        body["model"] = "models/another"
        async with gateway.session.post(url, json=body) as response:
            assert response.status == 400
            [info] = (await response.json())["error"]["details"]
            assert info["metadata"] == {"param": "model"}


async def test_an_alias_holds_inside_a_batch_too(running, simulator):
    texts = [{"model": "models/vectors", "content": {"parts": [{"text": "a"}]}}]
    models = {"aliases": {"vectors": "gemini-embedding-001"}}
    async with running(settings_for(simulator.url, models=models)) as gateway:
        url = f"{gateway.url}/v1beta/models/vectors:batchEmbedContents?key={LICENSE}"
        async with gateway.session.post(url, json={"requests": texts}) as response:
            assert response.status == 200
            assert len((await response.json())["embeddings"]) == 1


async def test_no_address_in_a_native_body_is_fetched(running, simulator):
    """What would be a message of OpenAI's is an unknown field here, as Gemini says itself."""
    image = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}
    async with running(settings_for(simulator.url)) as gateway:
        url = f"{gateway.url}/v1beta/models/{MODEL}:generateContent?key={LICENSE}"
        body = {"messages": [{"role": "user", "content": [image]}]}
        async with gateway.session.post(url, json=body) as response:
            assert response.status == 400
            assert "messages" in (await response.json())["error"]["message"]
    SENT.faults.clear()
