"""The wall clock jumps: limits, cool-downs and streams go by the monotonic one."""

import asyncio
import time

import pytest

from tests.faults.scripted import (
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
)
from tests.running import LICENSE, settings_for

HELD = [SSE, chunk(data(event("begun "))), STALL, chunk(data(LAST)), END]
BUSY = refusal(429, "RESOURCE_EXHAUSTED", "x", [{"@type": "a.RetryInfo", "retryDelay": "30s"}])


@pytest.fixture(params=[3600, -7200], ids=["an hour on", "two hours back"])
def jump(request, monkeypatch):
    """Return what makes the time of day jump."""
    real = time.time
    return lambda: monkeypatch.setattr(time, "time", lambda: real() + request.param)


async def test_a_stream_in_flight_goes_on(running, jump):
    settings = {"upstream": {"idle_timeout_s": 2.0, "keepalive_s": 0.1}}
    async with (
        ScriptedUpstream(HELD) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        await response.content.readuntil(b"begun")
        jump()
        await asyncio.sleep(0.3)
        upstream.release.set()
        rest = await response.content.read()
        assert b'"content":"end"' in rest
        assert b'"finish_reason":"stop"' in rest


async def test_a_rest_neither_ends_early_nor_grows(running, jump):
    async with (
        ScriptedUpstream(BUSY, answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        assert (await gateway.whole())[0] == 429
        jump()
        status, _, headers = await gateway.whole()
        assert (status, len(upstream.seen)) == (429, 1)
        assert 25 <= int(headers["retry-after"]) <= 33


async def test_a_limit_by_the_minute_is_neither_reset_nor_frozen(running, jump):
    limited = [{"id": "tester", "key": LICENSE, "requests_per_minute": 2}]
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url, licenses=limited)) as gateway,
    ):
        assert [(await gateway.whole())[0] for _ in range(2)] == [200, 200]
        jump()
        status, _, headers = await gateway.whole()
        assert status == 429
        assert int(headers["retry-after"]) <= 60
