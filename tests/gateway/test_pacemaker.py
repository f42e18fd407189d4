"""The one timer of a stream, looked at through a whole gateway with short limits."""

import asyncio

from tests.faults.scripted import LAST, ScriptedUpstream, event, stream
from tests.running import settings_for, streamed


async def test_a_quick_stream_sees_nothing_of_it(running):
    settings = {"upstream": {"commit_after_s": 0.2, "keepalive_s": 0.2}}
    async with (
        ScriptedUpstream(stream(event("a"), LAST)) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        body = await response.read()
    assert b'"delta":{},"finish_reason":null' not in body


async def test_keepalives_come_only_in_silence(running):
    """Text every 50 ms for half a second keeps the line warm by itself."""
    head, *events, end = stream(*(event(str(n)) for n in range(10)), LAST)
    script = [head, *(step for one in events for step in (0.05, one)), end]
    settings = {"upstream": {"commit_after_s": 0.3, "keepalive_s": 0.3}}
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        body = await response.read()
    assert streamed(body).text == "0123456789end"
    assert b'"delta":{},"finish_reason":null' not in body


async def test_no_timer_is_left_behind(running):
    settings = {"upstream": {"commit_after_s": 0.05, "keepalive_s": 0.05}}
    async with (
        ScriptedUpstream([0.2, *stream(LAST)]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        assert (await gateway.stream()).finish_reasons == ["stop"]
        await asyncio.sleep(0.2)
        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
        assert not {name for name in names if name.startswith("Pacemaker")}
