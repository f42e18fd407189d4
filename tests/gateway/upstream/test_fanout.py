"""Copies of one call look like one call with several candidates."""

import asyncio

import pytest

from gateway.errors import UpstreamError, UpstreamOverloaded, UpstreamTruncated
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.upstream.breaker import FAILURES, HOST
from tests.faults.scripted import (
    CLOSE,
    END,
    LAST,
    SSE,
    STALL,
    ScriptedUpstream,
    chunk,
    data,
    event,
    refusal,
    stream,
)

CALL = UpstreamCall("m", {}, stream=True, copies=3)


async def collect(upstream, call=CALL):
    async with upstream.open(call, Outcome(), Notes()) as batches:
        return [one async for batch in batches for one in batch]


async def test_each_copy_is_a_candidate_of_its_own(gemini):
    async with ScriptedUpstream(stream(event("a"), LAST)) as scripted:
        upstream = await gemini(scripted.url)
        events = await collect(upstream)
        assert len(scripted.seen) == 3
        assert sorted(e["candidates"][0]["index"] for e in events) == [0, 0, 1, 1, 2, 2]
        assert upstream.pool.credentials[0].leases == 0


async def test_an_event_with_usage_alone_still_says_whose_it_is(gemini):
    usage = {"usageMetadata": {"totalTokenCount": 1}}
    async with ScriptedUpstream(stream(LAST, usage)) as scripted:
        events = await collect(await gemini(scripted.url))
        assert sorted(e["candidates"][0]["index"] for e in events) == [0, 0, 1, 1, 2, 2]


async def test_a_copy_that_cannot_begin_fails_the_whole(gemini):
    scripts = [stream(LAST), refusal(503, "UNAVAILABLE")]
    async with ScriptedUpstream(*scripts) as scripted:
        upstream = await gemini(scripted.url, max_attempts=1)
        with pytest.raises(UpstreamOverloaded):
            await collect(upstream)
        assert upstream.pool.credentials[0].leases == 0


@pytest.mark.parametrize("circuit", ["m", HOST])
async def test_the_first_copy_is_the_probe_of_an_open_circuit(gemini, circuit):
    async with ScriptedUpstream(stream(LAST)) as scripted:
        upstream = await gemini(scripted.url)
        for _ in range(FAILURES):
            upstream.breakers.failure(circuit, upstream.breakers.failures_counted)
        with pytest.raises(UpstreamOverloaded):
            await collect(upstream)
        upstream.breakers._circuits[circuit].open_until = 0.0
        assert len(await collect(upstream)) == 3
        assert upstream.breakers.all_closed


async def test_a_copy_that_breaks_off_is_told(gemini):
    script = [SSE, chunk(data(event("a"))), 0.05, CLOSE]
    async with ScriptedUpstream(script) as scripted:
        with pytest.raises(UpstreamTruncated):
            await collect(await gemini(scripted.url))


async def test_leaving_early_cuts_every_copy(gemini):
    script = [SSE, chunk(data(event("a"))), STALL, END]
    async with ScriptedUpstream(script) as scripted:
        upstream = await gemini(scripted.url)
        async with upstream.open(CALL, Outcome(), Notes()) as batches:
            async for _ in batches:
                break
        for seen in scripted.seen:
            await asyncio.wait_for(seen.gone.wait(), 4)
        assert upstream.pool.credentials[0].leases == 0


async def test_who_is_cancelled_while_leaving_cuts_every_copy(gemini):
    script = [SSE, chunk(data(event("a"))), STALL, END]
    async with ScriptedUpstream(script) as scripted:
        upstream = await gemini(scripted.url)
        opening = upstream.open(CALL, Outcome(), Notes())
        await opening.__aenter__()
        leaving = asyncio.create_task(opening.__aexit__(None, None, None))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        for seen in scripted.seen:
            await asyncio.wait_for(seen.gone.wait(), 4)
        assert upstream.pool.credentials[0].leases == 0


@pytest.mark.parametrize("candidates", [[None], [5], {"a": 1}, "x"])
async def test_an_event_of_a_strange_shape_ends_the_whole(gemini, candidates):
    script = [SSE, chunk(data(event("a"))), 0.02, chunk(data({"candidates": candidates})), STALL]
    async with ScriptedUpstream(script) as scripted:
        upstream = await gemini(scripted.url)
        with pytest.raises(UpstreamError):
            await asyncio.wait_for(collect(upstream), 4)
        assert upstream.pool.credentials[0].leases == 0


async def test_the_counts_are_those_of_all_copies(gemini):
    last = {
        **LAST,
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 2,
            "totalTokenCount": 5,
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 2}],
            "serviceTier": "standard",
        },
    }
    early = {**event("a"), "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}
    async with ScriptedUpstream(stream(early, last)) as scripted:
        events = await collect(await gemini(scripted.url))
    assert events[-1]["usageMetadata"] == {
        "promptTokenCount": 9,
        "candidatesTokenCount": 6,
        "totalTokenCount": 15,
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 2}] * 3,
        "serviceTier": "standard",
        "calls": 3,
    }


async def test_what_waits_to_be_read_is_told_when_its_reader_fails(gemini):
    outcome = Outcome()
    async with ScriptedUpstream(stream(LAST)) as scripted:
        upstream = await gemini(scripted.url)
        opening = upstream.open(CALL, outcome, Notes())
        (first,) = await anext(await opening.__aenter__())
        await asyncio.sleep(0.01)
        await opening.__aexit__(UpstreamError, UpstreamError("the reader gave up"), None)
    *events, counts = outcome.unread
    known_events = [first, *events]
    assert sorted(one["candidates"][0]["index"] for one in known_events) == [0, 1, 2]
    assert counts["usageMetadata"]["totalTokenCount"] == 15
