"""The one line about each exchange, and what it must never hold."""

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from gateway.keys import METRICS
from gateway.recorder import DELAY_S, MOST_AT_ONCE, RECORDER, Recorder
from tests.faults.scripted import LAST, STALL, ScriptedUpstream, answer, refusal, stream
from tests.running import LICENSE, SECRET, settings_for

PROMPT = "a prompt that is nobody's business"


async def lines(gateway, *asks) -> list[dict]:
    structlog.reset_defaults()
    with capture_logs() as logs:
        for ask in asks:
            await ask()
        gateway.app[RECORDER].flush()
    return [line for line in logs if line["event"] == "request"]


async def test_a_request_is_told_in_one_line(running):
    async with (
        ScriptedUpstream(answer(200, LAST), stream(LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        whole, streamed = await lines(gateway, gateway.whole, gateway.stream)
    assert whole.keys() == streamed.keys()
    assert whole | {"id": 0, "ms": 0, "first_event_ms": 0} == {
        "event": "request",
        "log_level": "info",
        "id": 0,
        "route": "/gemini/v1/chat/completions",
        "status": 200,
        "ms": 0,
        "license": "tester",
        "model": "gemini-2.5-flash",
        "stream": False,
        "credential": "c1",
        "attempts": 1,
        "first_event_ms": 0,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "finish_reason": "stop",
    }
    assert streamed["stream"] is True


async def test_a_refusal_is_told_by_its_code_and_nothing_secret_is_told(running):
    script = refusal(429, "RESOURCE_EXHAUSTED", f"for api_key:{SECRET}key-1")
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        ask = lambda: gateway.whole(messages=[{"role": "user", "content": PROMPT}])  # noqa: E731
        (line,) = await lines(gateway, ask)
    assert (line["status"], line["error"]) == (429, "rate_limit_exceeded")
    for secret in (PROMPT, SECRET, LICENSE):
        assert secret not in str(line)


async def test_a_client_that_left_is_told(running):
    async with (
        ScriptedUpstream([STALL]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):

        async def leave():
            asking = gateway.loop.create_task(gateway.whole())
            while not upstream.seen:
                await gateway.tick()
            asking.cancel()
            await upstream.seen[0].gone.wait()

        (line,) = await lines(gateway, leave)
    assert line["client_gone"] is True


async def test_every_exchange_counts_in_the_metrics(running):
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        await gateway.whole()
        async with gateway.session.get(f"{gateway.url}/v1/models") as response:
            assert response.status == 401
        text = (await gateway.app[METRICS].render()).decode()
    route = 'route="/gemini/v1/chat/completions"'
    assert (
        f'gateway_requests_total{{code="200",model="gemini-2.5-flash",{route},stream="false"}} 1.0'
        in text
    )
    assert 'code="401"' in text
    assert 'gateway_tokens_total{model="gemini-2.5-flash",type="output"} 2.0' in text


async def test_probes_are_told_only_when_they_fail(running):
    async with running(settings_for("http://127.0.0.1:9")) as gateway:
        root = gateway.url.removesuffix("/gemini")

        async def probe():
            async with gateway.session.get(f"{root}/healthz") as response:
                assert response.status == 200

        (line,) = await lines(gateway, probe)
    assert line["log_level"] == "debug"


async def test_it_is_recorded_soon_by_itself(running):
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        structlog.reset_defaults()
        with capture_logs() as logs:
            await gateway.whole()
            await asyncio.sleep(DELAY_S * 10)
        assert [line["event"] for line in logs] == ["request"]


async def test_many_at_once_are_recorded_at_once(running):
    async with running(settings_for("http://127.0.0.1:9")) as gateway:
        recorder, recorded = gateway.app[RECORDER], []

        class Ended:
            media = ()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Recorder, "_record", lambda *about: recorded.append(about[2]))
            for _ in range(MOST_AT_ONCE - 1):
                recorder.end(None, Ended())
            assert recorded == []
            recorder.end(None, Ended())
            assert len(recorded) == MOST_AT_ONCE
            large = Ended()
            large.media = ("picture",)
            recorder.end(None, large)
            assert recorded[-1] is large


async def test_one_that_cannot_be_recorded_takes_no_other_along(running, monkeypatch):
    async with running(settings_for("http://127.0.0.1:9")) as gateway:
        recorder, recorded = gateway.app[RECORDER], []

        class Ended:
            media = ()

            def __init__(self, name):
                self.id = name

        def record(_self, _request, exchange, _ended):
            if exchange.id == "bad":
                raise KeyError("something")
            recorded.append(exchange.id)

        monkeypatch.setattr(Recorder, "_record", record)
        structlog.reset_defaults()
        with capture_logs() as logs:
            for name in ("one", "bad", "two"):
                recorder.end(None, Ended(name))
            recorder.flush()
        assert recorded == ["one", "two"]
        assert [(line["event"], line["id"]) for line in logs] == [("not_recorded", "bad")]
