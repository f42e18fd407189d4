"""Copies of one call look like one call with several candidates."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.errors import UpstreamError, UpstreamOverloaded, UpstreamTruncated
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.upstream.breaker import FAILURES, HOST
from gateway.upstream.fanout import FanOut
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


async def collect(upstream, call=CALL, outcome=None):
    async with upstream.open(call, outcome or Outcome(), Notes()) as batches:
        return [one async for batch in batches for one in batch]


class Endless:
    """An upstream whose answers go on for as long as they are read."""

    def __init__(self) -> None:
        self.given = 0

    @asynccontextmanager
    async def open(self, *_):
        yield self._batches()

    async def _batches(self):
        while True:
            self.given += 1
            yield [event("a")]


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


@pytest.mark.parametrize("shape", [{}, {"candidates": [None]}])
async def test_a_copy_that_cannot_begin_fails_the_whole(gemini, shape):
    scripts = [stream(LAST), stream(LAST | shape), [0.05, *refusal(503, "UNAVAILABLE")]]
    outcome = Outcome()
    async with ScriptedUpstream(*scripts) as scripted:
        upstream = await gemini(scripted.url, max_attempts=1)
        with pytest.raises(UpstreamOverloaded):
            await collect(upstream, outcome=outcome)
        assert upstream.pool.credentials[0].leases == 0
    *events, counts = outcome.unread
    assert len(events) == (1 if shape else 2)
    assert counts == {"usageMetadata": events[-1]["usageMetadata"]}


async def test_a_fault_of_the_gateway_at_the_beginning_is_raised_as_it_is():
    class Broken:
        def open(self, *_):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await FanOut(Broken(), CALL, Outcome(), Notes()).__aenter__()


async def test_what_nobody_reads_stays_upstream():
    upstream = Endless()
    async with FanOut(upstream, CALL, Outcome(), Notes()) as batches:
        await anext(batches)
        for _ in range(20):
            await asyncio.sleep(0)
        # The one that was read, one in the queue, and one that each call holds.
        assert upstream.given == 2 + CALL.copies


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
    outcome = Outcome()
    async with ScriptedUpstream(stream(early, last)) as scripted:
        events = await collect(await gemini(scripted.url), outcome=outcome)
    assert outcome.unread == ()
    assert events[-1]["usageMetadata"] == {
        "promptTokenCount": 9,
        "candidatesTokenCount": 6,
        "totalTokenCount": 15,
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 2}] * 3,
        "serviceTier": "standard",
        "calls": 3,
    }


@pytest.mark.parametrize("count", [0, 1])
async def test_what_waits_to_be_read_is_told_when_its_reader_fails(gemini, count):
    outcome = Outcome()
    async with ScriptedUpstream(stream(LAST)) as scripted:
        upstream = await gemini(scripted.url)
        opening = upstream.open(CALL, outcome, Notes())
        batches = await opening.__aenter__()
        read = [one for _ in range(count) for one in await anext(batches)]
        await asyncio.sleep(0.01)
        await opening.__aexit__(UpstreamError, UpstreamError("the reader gave up"), None)
    *events, counts = outcome.unread
    assert sorted(one["candidates"][0]["index"] for one in read + events) == [0, 1, 2]
    assert counts["usageMetadata"]["totalTokenCount"] == 15
