"""Vectors: as many as texts were sent, in the form that was asked for."""

import base64
import struct

import pytest

from tests.faults.scripted import ScriptedUpstream, answer, refusal
from tests.running import LICENSE, settings_for

MODEL = "gemini-embedding-001"


async def embed(gateway, **fields) -> tuple[int, dict, dict]:
    """Ask for vectors; give status, body and headers."""
    body = {"model": MODEL, "input": "Hi", **fields}
    headers = {"Authorization": LICENSE}
    url = f"{gateway.url}/v1/embeddings"
    async with gateway.session.post(url, json=body, headers=headers) as response:
        reply_headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, await response.json(), reply_headers


async def test_base64_is_given_where_it_is_asked_for(gateway):
    """SDKs ask for it by themselves.

    Reported in BerriAI/litellm#17150, graphiti#1782, mem0#4057, cherry-studio#14111.
    """
    _, plain, _ = await embed(gateway)
    status, body, _ = await embed(gateway, encoding_format="base64")
    assert status == 200
    raw = base64.b64decode(body["data"][0]["embedding"])
    values = plain["data"][0]["embedding"]
    assert struct.unpack(f"<{len(values)}f", raw) == pytest.approx(values, abs=1e-7)


async def test_more_texts_than_a_batch_takes_are_split(gateway, simulator):
    """Gemini takes a hundred at a time; the client gets all in its order.

    Reported in LEANN#214, vercel/ai#16760, gel#9032.
    """
    texts = [f"text {n}" for n in range(250)]
    status, body, _ = await embed(gateway, input=texts, dimensions=4)
    assert status == 200
    assert sorted(len(one.body["requests"]) for one in simulator.received) == [50, 100, 100]
    for at in (0, 99, 100, 249):
        _, alone, _ = await embed(gateway, input=texts[at], dimensions=4)
        assert alone["data"][0]["embedding"] == body["data"][at]["embedding"]
    assert [one["index"] for one in body["data"]] == list(range(250))


async def test_a_part_that_fails_is_the_error_of_the_whole(running):
    """Reported in LEANN#214."""
    good = answer(200, {"embeddings": [{"values": [1.0]}] * 100})
    async with (
        ScriptedUpstream(good, refusal(400, "INVALID_ARGUMENT", "A text is too long")) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        status, body, _ = await embed(gateway, input=["a"] * 101)
    assert (status, body["error"]["message"]) == (400, "A text is too long")


async def test_a_refused_task_type_is_left_out_and_told(running):
    """The next request is right at once."""
    vectors = answer(200, {"embeddings": [{"values": [1.0]}]})
    refused = refusal(400, "INVALID_ARGUMENT", f"Task type is not supported for models/{MODEL}")
    async with (
        ScriptedUpstream(refused, vectors) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for calls in (2, 3):
            status, _, headers = await embed(gateway, google={"task_type": "CLUSTERING"}, user="u")
            assert status == 200
            assert headers["x-gateway-adjusted"] == "google.task_type=dropped;reason=model"
            assert headers["x-gateway-dropped"] == "user"
            assert len(upstream.seen) == calls
        assert "taskType" not in upstream.seen[-1].body["requests"][0]


async def test_no_other_model_makes_vectors_in_its_place(running):
    """Those of different models cannot be compared: an index would be spoilt in silence."""
    storm, vectors = refusal(503, "UNAVAILABLE"), answer(200, {"embeddings": [{"values": [1.0]}]})
    models = {"fallbacks": {MODEL: ["gemini-embedding-2"]}}
    async with (
        ScriptedUpstream(storm, storm, storm, vectors) as upstream,
        running(settings_for(upstream.url, models=models)) as gateway,
    ):
        status, body, _ = await embed(gateway)
    assert (status, body["error"]["code"]) == (503, "overloaded")


async def test_a_replacement_is_named_in_every_text(running):
    """The operator says what takes the place of a model that is gone."""
    gone = refusal(
        404, "NOT_FOUND", "models/text-embedding-004 is not found for API version v1beta"
    )
    vectors = answer(200, {"embeddings": [{"values": [1.0]}]})
    models = {"replacements": {"text-embedding-004": {"model": MODEL, "since": "2026-01-14"}}}
    async with (
        ScriptedUpstream(gone, vectors) as upstream,
        running(settings_for(upstream.url, models=models)) as gateway,
    ):
        status, body, headers = await embed(gateway, model="text-embedding-004")
    assert (status, body["model"]) == (200, "text-embedding-004")
    assert headers["x-gateway-model"] == MODEL
    assert upstream.seen[-1].body["requests"][0]["model"] == f"models/{MODEL}"
    assert f"{MODEL}:batchEmbedContents" in upstream.seen[-1].path


async def test_vectors_are_booked_like_answers(running, simulator, ledger):
    """Their tokens are estimated, Gemini tells none."""
    async with running(settings_for(simulator.url, **ledger.settings)) as gateway:
        _, body, headers = await embed(gateway, input=["a" * 400, "b" * 400])
    [row] = ledger.rows()
    assert body["usage"]["prompt_tokens"] == row["prompt"] == 200
    assert (row["model"], row["status"]) == (MODEL, 200)
    assert row["id"] == headers["x-request-id"]
    assert row["cost_nanos"] == 200 * 150
