"""Connections that wait: the last one first, few of them long; dead ones are nobody's failure."""

import asyncio
import socket
from dataclasses import replace

import pytest

from gateway.errors import UpstreamError
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.network.socket_buffers import RECEIVE_BUFFER_BYTES
from gateway.upstream import pool
from gateway.upstream.answer import LARGE_BYTES
from tests.faults.scripted import (
    CLOSE,
    END,
    LAST,
    RESET,
    SSE,
    STALL,
    ScriptedUpstream,
    answer,
    chunk,
    data,
    event,
    stream,
)
from tests.patience import HANGING_S

CALL = UpstreamCall("m", {}, stream=False)
WARM = 30
PICTURE = "x" * (4 * LARGE_BYTES)


class Ageing(ScriptedUpstream):
    """Answers; once it is *old* each connection made before ends, by *ending*, when it is used."""

    def __init__(self, ending: str) -> None:
        super().__init__([])
        self.old: set = set()
        self.ending = ending
        self.used: list = []
        self.together = asyncio.Barrier(WARM)

    async def warm(self, upstream) -> None:
        """Have *upstream* make so many connections, none of which ends by itself."""
        await asyncio.gather(*(ask(upstream) for _ in range(WARM)))
        self.old = set(self._writers)
        assert len(self.old) == WARM

    async def _play(self, _script, seen, reader, writer):
        self.used.append(writer)
        if not self.old:
            await self.together.wait()
        script = [self.ending] if writer in self.old else answer(200, {"models": [], **LAST})
        return await super()._play(script, seen, reader, writer)


async def ask(upstream, call=CALL) -> int:
    """Make a call, which must get the last event; give how many attempts it took."""
    outcome = Outcome()
    async with upstream.open(call, outcome, Notes()) as batches:
        events = [event async for batch in batches for event in batch]
    assert events[-1]["candidates"] == LAST["candidates"]
    return outcome.attempts


def waiting(upstream) -> int:
    return sum(map(len, upstream.session.connector._conns.values()))


@pytest.mark.parametrize("ending", [RESET, CLOSE])
@pytest.mark.parametrize("calls", [1, WARM, WARM + 20])
async def test_connections_that_died_while_they_waited_fail_no_call(gemini, ending, calls):
    async with Ageing(ending) as ageing:
        upstream = await gemini(ageing.url, max_attempts=1)
        await ageing.warm(upstream)
        attempts = await asyncio.gather(*(ask(upstream) for _ in range(calls)))
        assert set(attempts) == {1}
        assert upstream.breakers.all_closed
        assert not sum(upstream.budget._retries)
        # A call is sent twice at most.
        assert len(ageing.used) <= WARM + 2 * calls


async def test_the_address_that_took_a_connection_is_told(gemini, monkeypatch):
    told = []
    monkeypatch.setattr(pool.Resolver, "reached", lambda _, *place: told.append(place))
    async with ScriptedUpstream(answer(200, LAST)) as scripted:
        port = int(scripted.url.rpartition(":")[2])
        await ask(await gemini(scripted.url))
    assert told == [("127.0.0.1", port, "127.0.0.1")]


async def test_they_fail_no_list_of_models_either(gemini):
    async with Ageing(RESET) as ageing:
        upstream = await gemini(ageing.url)
        await ageing.warm(upstream)
        assert await upstream.models() == []


async def test_any_number_of_calls_goes_up_at_once(gemini):
    connector = (await gemini("http://127.0.0.1:9")).session.connector
    assert (connector.limit, connector.limit_per_host) == (0, 0)


async def test_the_first_connection_that_dies_is_a_failure(gemini):
    async with ScriptedUpstream([RESET]) as scripted:
        upstream = await gemini(scripted.url, max_attempts=1)
        with pytest.raises(UpstreamError):
            await ask(upstream)
        assert len(scripted.seen) == 1


async def test_a_new_connection_that_dies_is_a_failure(gemini):
    async with ScriptedUpstream(answer(200, LAST), [RESET]) as scripted:
        upstream = await gemini(scripted.url, max_attempts=1)
        await ask(upstream)
        with pytest.raises(UpstreamError):
            await ask(upstream)
        # On the one that waited, and on a new one.
        assert len(scripted.seen) == 3
        assert not upstream.breakers.all_closed


async def test_one_that_breaks_in_its_answer_says_nothing_of_the_others(gemini):
    async with Ageing(SSE[:-2]) as ageing:
        upstream = await gemini(ageing.url, max_attempts=1)
        await ageing.warm(upstream)
        asking = asyncio.create_task(ask(upstream))
        while len(ageing.used) == WARM:
            await asyncio.sleep(0.001)
        ageing.used[-1].write(b"\r\n")
        await asyncio.sleep(0.02)
        ageing.used[-1].close()
        with pytest.raises(UpstreamError):
            await asking
        assert waiting(upstream) == WARM - 1


async def test_who_leaves_says_nothing_of_the_others_either(gemini):
    async with Ageing(STALL) as ageing:
        upstream = await gemini(ageing.url)
        await ageing.warm(upstream)
        asking = asyncio.create_task(ask(upstream))
        while len(ageing.used) == WARM:
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.wait({asking})
        await asyncio.sleep(0.01)
        assert asking.cancelled()
        assert (waiting(upstream), len(ageing.used)) == (WARM - 1, WARM + 1)


async def test_an_answer_that_ended_behind_a_broken_event_leaves_no_connection_behind(gemini):
    begun = SSE + chunk(data(event("a")) + b"data: {broken\r\n\r\n")
    async with ScriptedUpstream([begun, STALL, END]) as scripted:
        upstream = await gemini(scripted.url)
        async with upstream.open(replace(CALL, stream=True), Outcome(), Notes()) as batches:
            await anext(batches)
            scripted.release.set()
            async with asyncio.timeout(HANGING_S):
                while not batches._response.content._eof:
                    await asyncio.sleep(0.001)
            with pytest.raises(UpstreamError):
                await anext(batches)
        assert not upstream.session.connector._acquired


UNASKED = answer(200, event("unasked", finishReason="STOP"))[0]


@pytest.mark.parametrize("unasked", [UNASKED, UNASKED[:30], b"\r\n", b"\x15\x03\x03"])
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.usefixtures("with_and_without_tls")
async def test_what_comes_unasked_is_not_the_answer_of_the_next_call(gemini, unasked, streaming):
    """It would be the answer of one client, read by another."""
    first = stream(LAST) if streaming else answer(200, LAST)
    async with ScriptedUpstream([*first, STALL, unasked], answer(200, LAST)) as scripted:
        upstream = await gemini(scripted.url)
        await ask(upstream, replace(CALL, stream=streaming))
        scripted.release.set()
        ((idle, _),) = next(iter(upstream.session.connector._conns.values()))
        async with asyncio.timeout(HANGING_S):
            while not idle.should_close:
                await asyncio.sleep(0.001)
        assert await ask(upstream) == 1
        assert not idle.is_connected()
        assert len(scripted.seen) == 2


async def test_the_connection_that_was_used_last_is_used_next(gemini):
    async with Ageing(RESET) as ageing:
        upstream = await gemini(ageing.url)
        await ageing.warm(upstream)
        ageing.old = {None}
        for _ in range(5):
            await ask(upstream)
        assert len(set(ageing.used[WARM:])) == 1


async def test_few_connections_wait_for_long(gemini, monkeypatch):
    for name, value in {"KEPT": 4, "SPARE_S": 0.05, "IDLE_S": 0.3}.items():
        monkeypatch.setattr(pool, name, value)
    async with Ageing(RESET) as ageing, asyncio.timeout(5):
        upstream = await gemini(ageing.url)
        await ageing.warm(upstream)
        assert waiting(upstream) == WARM
        connector = upstream.session.connector
        ((*idle,),) = connector._conns.values()
        began_at = asyncio.get_running_loop().time()
        while waiting(upstream) > 4:
            await asyncio.sleep(0.01)
        assert waiting(upstream) == 4
        while waiting(upstream):
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - began_at >= 0.3 - 0.05
        assert not any(connection.is_connected() for connection, _ in idle)
        assert (connector._conns, connector._cleanup_handle) == ({}, None)


async def receive_buffer(upstream, *, streaming: bool) -> int:
    """Make a call; return the size that its connection's buffer had at the end.

    A large one is of use only with a window that may be as large.
    """
    call = UpstreamCall("m", {}, stream=streaming)
    async with upstream.open(call, Outcome(), Notes()) as batches:
        assert [one async for batch in batches for one in batch]
    (idle,) = upstream.session.connector._conns.values()
    sock = idle[0][0].transport.get_extra_info("socket")
    # Linux doubles what it is asked for.
    size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    return min(size, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP))


@pytest.mark.usefixtures("with_and_without_tls")
@pytest.mark.parametrize(
    ("large", "small"),
    [
        (stream(event(PICTURE), LAST), stream(event("text"), LAST)),
        (stream(event("text"), event(PICTURE), LAST), stream(LAST)),
        (answer(200, event(PICTURE)), answer(200, LAST)),
    ],
    ids=["first event", "later event", "whole"],
)
async def test_a_large_event_or_body_is_received_with_a_large_buffer(gemini, large, small):
    streaming = len(large) > 1
    async with ScriptedUpstream(small, large, small) as scripted:
        upstream = await gemini(scripted.url)
        sizes = [await receive_buffer(upstream, streaming=streaming) for _ in range(3)]
    assert sizes[0] == sizes[2] == RECEIVE_BUFFER_BYTES
    assert sizes[1] > 2 * RECEIVE_BUFFER_BYTES
    async with ScriptedUpstream(large) as scripted:
        upstream = await gemini(scripted.url)
        assert await receive_buffer(upstream, streaming=streaming) > 2 * RECEIVE_BUFFER_BYTES
