"""Reading one answer: the first event, batches, breaks, silence, against real sockets."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gateway.errors import UpstreamError, UpstreamOverloaded, UpstreamTimeout, UpstreamTruncated
from gateway.upstream.answer import Answer
from gateway.upstream.faults import Failed, Kind
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
    stream,
)


@asynccontextmanager
async def answered(*script, streaming: bool = True, idle_s: float = 5.0):
    async with (
        ScriptedUpstream(list(script)) as upstream,
        aiohttp.ClientSession() as session,
        session.post(upstream.url, json={}) as response,
    ):
        one = Answer(response, stream=streaming, idle_s=idle_s, redact=str)
        yield one
        one.close()


async def rest(one: Answer) -> list[list[dict]]:
    return [batch async for batch in one]


async def test_a_stream_begins_with_its_first_event_and_gives_all():
    async with answered(*stream(event("a"), event("b"), LAST)) as one:
        assert await one.begin() == event("a")
        batches = await rest(one)
        assert [e for batch in batches for e in batch] == [event("a"), event("b"), LAST]


async def test_a_whole_answer_is_one_event():
    async with answered(*answer(200, LAST), streaming=False) as one:
        assert await one.begin() == LAST
        assert await rest(one) == [[LAST]]


async def test_a_refusal_is_a_failed_attempt():
    body = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}
    async with answered(*answer(503, body)) as one:
        with pytest.raises(Failed) as caught:
            await one.begin()
        assert caught.value.fault.kind is Kind.OVERLOADED


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("body", [b"", b"<html></html>", b'{"cut'])
async def test_what_holds_no_event_is_a_failed_attempt(body, streaming):
    async with answered(*answer(200, body), streaming=streaming) as one:
        with pytest.raises(Failed) as caught:
            await one.begin()
        assert caught.value.fault.kind is Kind.GARBAGE


async def test_what_is_too_large_is_not_asked_for_again(monkeypatch):
    monkeypatch.setattr("gateway.upstream.answer.MAX_WHOLE_BYTES", 100)
    async with answered(*answer(200, event("x" * 100)), streaming=False) as one:
        with pytest.raises(Failed) as caught:
            await one.begin()
    assert (caught.value.fault.kind, caught.value.final) == (Kind.GARBAGE, True)


@pytest.mark.parametrize("second", [b"data: 5\r\n\r\n", b"data: []\r\n\r\n", b"data: {\r\n\r\n"])
async def test_what_follows_and_is_no_event_fails_an_attempt_that_looks_for_more(second):
    async with answered(SSE, chunk(data(event("a"))), 0.02, chunk(second), END) as one:
        await one.begin()
        with pytest.raises(Failed) as caught:
            await one.is_single()
    assert caught.value.fault.kind is Kind.GARBAGE


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            data({"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}),
            UpstreamOverloaded,
        ),
        (b"data: {broken\r\n\r\n", UpstreamError),
        (b"data: 5\r\n\r\n", UpstreamError),
    ],
)
async def test_an_error_comes_after_the_events_of_the_same_read(error, kind):
    script = [SSE, chunk(data(event("a"))), 0.05, chunk(data(event("b")) + error), END]
    async with answered(*script) as one:
        await one.begin()
        seen = []
        batches = one
        seen += await anext(batches) + await anext(batches)
        with pytest.raises(kind):
            await anext(batches)
        assert seen == [event("a"), event("b")]


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        ([CLOSE], UpstreamTruncated),
        ([STALL], UpstreamTimeout),
        ([chunk(b"data: {nonsense\r\n\r\n"), END], UpstreamError),
    ],
)
async def test_breaks_are_told_by_kind(ending, error):
    async with answered(SSE, chunk(data(event("a"))), 0.05, *ending, idle_s=0.5) as one:
        await one.begin()
        with pytest.raises(error):
            await rest(one)


async def test_a_stream_without_an_end_is_ended(monkeypatch):
    monkeypatch.setattr("gateway.upstream.answer.MAX_STREAM_BYTES", 100_000)
    async with answered(*[SSE, *[chunk(data(event("x" * 1000)))] * 1000, STALL]) as one:
        await one.begin()
        with pytest.raises(UpstreamError, match="larger than this gateway relays"):
            await rest(one)


async def test_while_nobody_reads_nothing_is_silent():
    script = [SSE, chunk(data(event("a"))), 0.05, chunk(data(event("b"))), 0.5, *stream(LAST)[1:]]
    async with answered(*script, idle_s=0.4) as one:
        await one.begin()
        seen = await anext(one) + await anext(one)
        await asyncio.sleep(0.6)
        seen += [e for batch in await rest(one) for e in batch]
        assert seen == [event("a"), event("b"), LAST]


async def test_a_stream_may_last_longer_than_a_silence():
    steps = [step for n in range(14) for step in (0.05, chunk(data(event(str(n)))))]
    async with answered(SSE, *steps, END, idle_s=0.5) as one:
        await one.begin()
        assert len(await rest(one)) == 14


async def test_a_silence_after_a_pause_of_the_reader_is_told():
    script = [SSE, chunk(data(event("a"))), 0.02, chunk(data(event("b"))), STALL]
    async with answered(*script, idle_s=0.05) as one, asyncio.timeout(5):
        await one.begin()
        await anext(one)
        await anext(one)
        await asyncio.sleep(0.2)
        with pytest.raises(UpstreamTimeout):
            await anext(one)


@pytest.mark.parametrize("noise", [b": ping\n\n", b"\r\n", b"garbage\n"])
async def test_what_is_no_event_does_not_end_a_silence(noise):
    script = [SSE, chunk(data(event("a"))), *[0.1, chunk(noise)] * 8, chunk(data(LAST)), END]
    async with answered(*script, idle_s=0.3) as one:
        await one.begin()
        with pytest.raises(UpstreamTimeout):
            await rest(one)
