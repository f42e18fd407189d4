"""Clients that leave or do not read: upstream is cut, memory is bounded, nobody else notices."""

import asyncio

import pytest

from tests.faults.scripted import SSE, STALL, ScriptedUpstream, chunk, data, event
from tests.running import settings_for

USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 1, "totalTokenCount": 8}
BEGUN = chunk(data({**event("Hello"), "usageMetadata": USAGE}))


@pytest.mark.parametrize(
    ("streaming", "script"),
    [(False, [STALL]), (True, [STALL]), (True, [SSE, STALL]), (True, [SSE, BEGUN, STALL])],
    ids=["whole", "before the head", "before the first event", "in mid-stream"],
)
async def test_a_client_that_leaves_cuts_upstream_within_a_second(running, streaming, script):
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        asking = asyncio.create_task(gateway.post(stream=streaming).__aenter__())
        while not upstream.seen:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        if asking.done():
            asking.result().close()
        else:
            asking.cancel()
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 1)
        await asyncio.sleep(0.1)
        assert len(upstream.seen) == 1, "nothing is tried again for a client that left"


async def test_a_reader_that_stops_is_held_back_and_cut(running):
    flood = [SSE, *[chunk(data(event("x" * 1000)) * 64)] * 2000, STALL]
    settings = {"server": {"send_timeout_s": 0.5}, "upstream": {"commit_after_s": 0.1}}
    async with (
        ScriptedUpstream(flood) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        await response.content.read(10)
        response.connection.transport.pause_reading()
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 10)
