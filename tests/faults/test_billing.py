"""What is booked is what Gemini billed, also where the client got an error or nothing."""

import asyncio
import threading
from typing import NamedTuple

import pytest

from gateway import relay
from gateway.keys import DATABASE, DRAIN, LEDGER, METRICS
from gateway.ledger.report import Selection, sums
from tests.faults.scripted import (
    CLOSE,
    END,
    LAST,
    SSE,
    STALL,
    ScriptedUpstream,
    answer,
    chunk,
    data,
    event,
    refusal,
    stream,
)
from tests.running import LICENSE, settings_for

# It refuses several candidates, so that as many calls are made; texts have a hundred in each call.
SINGLE, VECTORS = "gemini-3.8-flash", "gemini-embedding-001"
SPEECH = "gemini-2.5-flash-preview-tts"
PRICES = {
    "prices": {
        SINGLE: {"input": 10.0, "output": 100.0, "search_queries": 14.0},
        VECTORS: {"input": 10.0, "output": 0.0},
        SPEECH: {"input": 10.0, "output": 100.0},
    }
}
TEXT = "eight by"
LIMIT = 1_000_000
BUSY = refusal(503, "UNAVAILABLE")


class Booked(NamedTuple):
    """Tokens and billionths of a USD of all requests, as four places tell of them."""

    prompt: int
    total: int
    nanos: int
    metric: int
    left: int


@pytest.fixture
def billing(running):
    """Return what runs a gateway that tries nothing twice, for a license with a limit of tokens."""

    def run(url: str, **upstream):
        return running(
            settings_for(
                url,
                upstream={"max_attempts": 1} | upstream,
                licenses=[{"id": "tester", "key": LICENSE, "tokens_per_day": LIMIT}],
                models=PRICES,
            )
        )

    return run


async def booked(gateway) -> Booked:
    await gateway.app[LEDGER].flush()
    (one,) = await sums(gateway.app[DATABASE], Selection(0), ())
    lines = (await gateway.app[METRICS].render()).decode().splitlines()
    told = [line for line in lines if line.startswith("gateway_tokens_total")]
    metric = sum(float(line.split()[-1]) for line in told if "put" in line.split('type="')[1])
    headers = {"Authorization": LICENSE}
    async with gateway.session.get(f"{gateway.url}/v1/models", headers=headers) as response:
        left = int(response.headers["x-ratelimit-remaining-tokens"])
    return Booked(one.prompt, one.total, round(one.usd * 1e9), int(metric), left)


def costing(prompt: int, completion: int = 0) -> Booked:
    total = prompt + completion
    nanos = prompt * 10_000 + completion * 100_000
    return Booked(prompt, total, nanos, total, LIMIT - total)


async def release_once_read(gateway, upstream, count: int) -> None:
    """Let the script go on when the gateway has read what *count* calls got."""
    while sum(seen.taken > 0 for seen in upstream.seen) < count:
        await gateway.tick()
    for _ in range(5):
        await gateway.tick()
    upstream.release.set()


def all_but_the_last(count: int, good: list, last: list):
    """Return the script of *count* calls, and of those behind, which get what the last one does."""
    return lambda _, number: good if number < count else last


@pytest.mark.parametrize("streaming", [False, True])
async def test_copies_that_began_are_booked_when_another_cannot(billing, streaming):
    good = [SSE, chunk(data(LAST)), STALL] if streaming else answer(200, LAST)
    script = all_but_the_last(3, good, [STALL, *BUSY])
    async with (
        ScriptedUpstream(script) as upstream,
        billing(upstream.url) as gateway,
    ):
        asking = asyncio.create_task(gateway.whole(model=SINGLE, n=3, stream=streaming))
        await release_once_read(gateway, upstream, 2)
        status, body, _ = await asking
        assert (status, body["error"]["code"]) == (503, "overloaded")
        assert await booked(gateway) == costing(2 * 3, 2 * 2)


async def test_copies_that_were_read_are_booked_when_another_breaks_off(billing):
    broken = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", STALL, CLOSE]
    script = all_but_the_last(2, answer(200, LAST), broken)
    async with (
        ScriptedUpstream(script) as upstream,
        billing(upstream.url) as gateway,
    ):
        asking = asyncio.create_task(gateway.whole(model=SINGLE, n=2))
        await release_once_read(gateway, upstream, 2)
        assert (await asking)[0] == 502
        assert await booked(gateway) == costing(3, 2)


async def test_copies_that_were_read_are_booked_when_the_client_leaves(billing):
    script = all_but_the_last(2, answer(200, LAST), [STALL, *BUSY])
    async with (
        ScriptedUpstream(script) as upstream,
        billing(upstream.url) as gateway,
    ):
        asking = asyncio.create_task(gateway.whole(model=SINGLE, n=2))
        while len(upstream.seen) < 2:
            await gateway.tick()
        for _ in range(5):
            await gateway.tick()
        asking.cancel()
        await asyncio.wait_for(upstream.seen[1].gone.wait(), 2)
        upstream.release.set()
        for _ in range(5):
            await gateway.tick()
        assert await booked(gateway) == costing(3, 2)


@pytest.mark.parametrize(
    ("streaming", "work"), [(False, "_collect"), (True, "_encode_batch")], ids=["whole", "streamed"]
)
async def test_speech_that_is_being_encoded_is_booked_when_the_client_leaves(
    billing, monkeypatch, streaming, work
):
    """Minutes of it take a thread seconds, and a thread cannot be stopped."""
    begun, gone = threading.Event(), threading.Event()
    real = getattr(relay, work)

    def slow(*args):
        begun.set()
        assert gone.wait(10)
        return real(*args)

    monkeypatch.setattr(relay, work, slow)
    async with (
        ScriptedUpstream(stream(LAST) if streaming else answer(200, LAST)) as upstream,
        billing(upstream.url) as gateway,
    ):
        asking = asyncio.create_task(
            gateway.post(model=SPEECH, modalities=["audio"], stream=streaming).__aenter__()
        )
        while not begun.is_set():
            await gateway.tick()
        asking.cancel()
        await gateway.tick()
        gone.set()
        while gateway.app[DRAIN].count:
            await gateway.tick()
        assert await booked(gateway) == costing(3, 2)


async def test_searches_of_copies_are_booked_when_another_cannot_begin(billing):
    found = {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}
    last = {**event("end", finishReason="STOP", **found), "usageMetadata": LAST["usageMetadata"]}
    script = all_but_the_last(2, answer(200, last), [STALL, *BUSY])
    async with ScriptedUpstream(script) as upstream, billing(upstream.url) as gateway:
        asking = asyncio.create_task(gateway.whole(model=SINGLE, n=2))
        await release_once_read(gateway, upstream, 1)
        assert (await asking)[0] == 503
        assert (await booked(gateway)).nanos == costing(3, 2).nanos + 2 * 14_000_000


async def embed(gateway, count: int) -> int:
    body = {"model": VECTORS, "input": [TEXT] * count}
    headers = {"Authorization": LICENSE}
    url = f"{gateway.url}/v1/embeddings"
    async with gateway.session.post(url, json=body, headers=headers) as response:
        await response.read()
        return response.status


VECTORS_OF_A_CALL = answer(200, {"embeddings": [{"values": [1.0]}] * 100})


async def test_texts_that_have_vectors_are_booked_when_others_have_none(billing):
    script = all_but_the_last(3, VECTORS_OF_A_CALL, [STALL, *BUSY])
    async with (
        ScriptedUpstream(script) as upstream,
        billing(upstream.url) as gateway,
    ):
        asking = asyncio.create_task(embed(gateway, 250))
        await release_once_read(gateway, upstream, 2)
        assert await asking == 503
        assert await booked(gateway) == costing(200 * len(TEXT) // 4)


@pytest.mark.parametrize("action", ["embedContent", "batchEmbedContents"])
async def test_native_texts_without_a_vector_are_not_booked(billing, action):
    body = {"content": {"parts": [{"text": TEXT * 100}]}}
    if action == "batchEmbedContents":
        body = {"requests": [{"model": f"models/{VECTORS}", **body}]}
    async with (
        ScriptedUpstream(BUSY) as upstream,
        billing(upstream.url) as gateway,
    ):
        url = f"{gateway.url}/v1beta/models/{VECTORS}:{action}"
        headers = {"x-goog-api-key": LICENSE}
        async with gateway.session.post(url, json=body, headers=headers) as response:
            assert response.status == 503
        assert await booked(gateway) == costing(0)


WEAK = {
    "candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}],
    "usageMetadata": {"promptTokenCount": 3, "thoughtsTokenCount": 90, "totalTokenCount": 93},
}


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer_that_was_asked_for_again_is_booked_beside_the_other(billing, streaming):
    """Gemini bills the slips of its models; the client is told of the answer that it got."""
    whole = [answer(200, WEAK), answer(200, LAST)]
    scripts = [stream(WEAK), stream(LAST)] if streaming else whole
    async with (
        ScriptedUpstream(*scripts) as upstream,
        billing(upstream.url, max_attempts=3) as gateway,
    ):
        if streaming:
            told = await gateway.stream(model=SINGLE, stream_options={"include_usage": True})
            usage = told.chunks[-1]["usage"]
        else:
            usage = (await gateway.whole(model=SINGLE))[1]["usage"]
        assert len(upstream.seen) == 2
        assert (usage["total_tokens"], usage["cost"]) == (5, pytest.approx(0.000_23))
        assert await booked(gateway) == costing(3 + 3, 90 + 2)


async def test_a_stream_that_began_with_an_error_behind_is_booked(billing):
    error = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "Overloaded"}}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
    began = data({**event("a"), "usageMetadata": counts}) + data(error)
    async with (
        ScriptedUpstream([SSE, chunk(began), END], stream(LAST)) as upstream,
        billing(upstream.url, max_attempts=2) as gateway,
    ):
        told = await gateway.stream(model=SINGLE)
        assert (told.text, told.error["code"]) == ("a", "overloaded")
        assert await booked(gateway) == costing(3, 1)


@pytest.mark.parametrize("hedge_after_s", [0.0, 5.0])
async def test_an_answer_that_may_be_empty_is_booked_when_the_client_leaves(billing, hedge_after_s):
    async with (
        ScriptedUpstream([SSE, chunk(data(WEAK)), STALL], BUSY) as upstream,
        billing(upstream.url, max_attempts=3, hedge_after_s=hedge_after_s) as gateway,
    ):
        asking = asyncio.create_task(gateway.stream(model=SINGLE))
        while not upstream.seen or not upstream.seen[0].taken > len(SSE):
            await gateway.tick()
        for _ in range(5):
            await gateway.tick()
        asking.cancel()
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 2)
        assert await booked(gateway) == costing(3, 90)


async def test_an_answer_that_was_asked_for_again_in_vain_is_booked(billing):
    async with (
        ScriptedUpstream(answer(200, WEAK), BUSY) as upstream,
        billing(upstream.url, max_attempts=2) as gateway,
    ):
        assert (await gateway.whole(model=SINGLE))[0] == 503
        assert await booked(gateway) == costing(3, 90)
