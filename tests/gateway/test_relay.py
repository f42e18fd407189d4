"""The handler: whole and streamed, and how both end when the gateway goes away."""

import asyncio
import gc

import pytest
import structlog

from gateway import relay
from gateway.exchange import Exchange
from gateway.keys import DRAIN
from gateway.log.line import place
from gateway.settings import Settings
from gateway.upstream.fanout import FanOut
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
    stream,
)
from tests.gateway.media.samples import sample
from tests.running import LICENSE, settings_for, streamed


async def test_streamed_and_whole_say_the_same(running):
    async with (
        ScriptedUpstream(answer(200, LAST), stream(LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        _, whole, _ = await gateway.whole()
        seen = await gateway.stream(stream_options={"include_usage": True})
    choice = whole["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("end", "stop")
    assert (seen.text, seen.finish_reasons) == ("end", ["stop"])
    assert seen.chunks[-1]["choices"] == []
    assert seen.chunks[-1]["usage"] == whole["usage"]
    assert whole["usage"]["total_tokens"] == 5


@pytest.mark.parametrize("streaming", [True, False])
async def test_the_models_of_a_license_hold_whatever_the_chain_is(running, streaming):
    scope = "middlewares.license:LicenseScope"
    chain = [table for table in Settings().middlewares if table["use"] != scope]
    licenses = [{"id": "tester", "key": LICENSE, "models": ["gemini-2.5-*"]}]
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        settings = settings_for(upstream.url, middlewares=chain, licenses=licenses)
        async with (
            running(settings) as gateway,
            gateway.post(model="gemini-3.5-flash", stream=streaming) as response,
        ):
            error = (await response.json())["error"]
        assert (response.status, error["code"]) == (403, "model_not_allowed")
        assert upstream.seen == []


@pytest.mark.parametrize(
    "told",
    [
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
        {"candidates": [{"finishReason": "SAFETY"}]},
    ],
)
async def test_a_refusal_to_speak_is_an_answer_streamed_and_whole(running, told):
    speech = {"model": "gemini-2.5-flash-preview-tts", "modalities": ["audio"]}
    async with (
        ScriptedUpstream(answer(200, told), stream(told)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        status, whole, _ = await gateway.whole(**speech)
        seen = await gateway.stream(**speech)
    assert (status, whole["choices"][0]["finish_reason"]) == (200, "content_filter")
    assert (seen.status, seen.finish_reasons, seen.done) == (200, ["content_filter"], True)


@pytest.mark.parametrize("streaming", [True, False])
async def test_minutes_of_speech_do_not_hold_up_the_others(running, monkeypatch, streaming):
    async def counted(work, *args):
        threads.append(work)
        return await in_thread(work, *args)

    threads = []
    in_thread = relay.in_thread
    monkeypatch.setattr(relay, "in_thread", counted)
    sound = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA" * 100}}
    spoken = {"candidates": [{"content": {"parts": [sound]}, "finishReason": "STOP"}]}
    script = [SSE, chunk(data(spoken)), 0.02, chunk(data(spoken)), END]
    async with (
        ScriptedUpstream(script if streaming else answer(200, spoken)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        speech = {"model": "gemini-2.5-flash-preview-tts", "modalities": ["audio"]}
        async with gateway.post(stream=streaming, **speech) as response:
            await response.read()
    assert len(threads) == 1 + streaming


async def test_a_stream_has_the_headers_that_keep_proxies_from_buffering(running):
    async with (
        ScriptedUpstream(stream(LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
        gateway.post(stream=True) as response,
    ):
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "x-request-id" in response.headers
        assert 0 <= int(response.headers["openai-processing-ms"]) < 60_000


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_model_that_will_be_retired_is_told_with_its_date(running, streaming):
    last = {**LAST, "modelStatus": {"retirementTime": "2027-05-07T00:00:00Z"}}
    script = stream(last) if streaming else answer(200, last)
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
        gateway.post(stream=streaming) as response,
    ):
        assert response.headers["Sunset"] == "Fri, 07 May 2027 00:00:00 GMT"


async def test_events_are_relayed_as_they_come(running):
    script = [SSE, chunk(data(event("first"))), STALL, chunk(data(LAST)), END]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
        gateway.post(stream=True) as response,
    ):
        role = await response.content.readuntil(b"\n\n")
        first = await asyncio.wait_for(response.content.readuntil(b"\n\n"), 4)
        assert b'"role":"assistant"' in role
        assert b'"content":"first"' in first
        upstream.release.set()
        assert (await response.content.read()).endswith(b"data: [DONE]\n\n")


async def test_nothing_of_the_request_is_held_while_its_stream_goes_on(running):
    script = [SSE, chunk(data(event("first"))), STALL, chunk(data(LAST)), END]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
        gateway.post(stream=True) as response,
    ):
        await response.content.readuntil(b"\n\n")
        exchanges = [one for one in gc.get_objects() if isinstance(one, Exchange)]
        (exchange,) = [one for one in exchanges if one.id == response.headers["x-request-id"]]
        assert (exchange.payload, exchange.media, exchange.call.body) == ({}, {}, {})
        upstream.release.set()
        assert (await response.content.read()).endswith(b"data: [DONE]\n\n")


async def test_several_candidates_by_several_calls(running):
    async with (
        ScriptedUpstream(stream(LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        seen = await gateway.stream(model="gemini-3.7-flash", n=3)
        assert len(upstream.seen) == 3
    indexes = [c["index"] for one in seen.chunks for c in one["choices"] if c.get("finish_reason")]
    assert sorted(indexes) == [0, 1, 2]


async def test_a_fault_of_the_gateway_among_several_calls_is_logged_and_no_fault_of_gemini(
    running, monkeypatch
):
    monkeypatch.setattr(FanOut, "_numbered", lambda _, event, index: event[index])
    with structlog.testing.capture_logs() as lines:
        async with (
            ScriptedUpstream(answer(200, LAST)) as upstream,
            running(settings_for(upstream.url)) as gateway,
        ):
            status, body, headers = await gateway.whole(model="gemini-3.7-flash", n=2)
    assert (status, body["error"]["code"]) == (500, "internal_error")
    (line,) = [line for line in lines if line["event"] == "unexpected_error"]
    assert line["id"] == headers["x-request-id"]
    assert "test_relay.py" in place(line["exc_info"])


async def begin(gateway, upstream, count: int, **more) -> list[asyncio.Task]:
    async def read():
        async with gateway.post(**more) as response:
            return response.status, await response.read()

    tasks = [asyncio.create_task(read()) for _ in range(count)]
    while len(upstream.seen) < count:
        await gateway.tick()
    await asyncio.sleep(0.1)
    return tasks


async def test_streams_finish_while_the_gateway_drains_and_nothing_new_begins(running):
    script = [SSE, chunk(data(event("a"))), STALL, chunk(data(LAST)), END]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        tasks = await begin(gateway, upstream, 5, stream=True)
        drain = gateway.app[DRAIN]
        drain.begin()
        status, body, headers = await gateway.whole()
        assert (status, body["error"]["code"]) == (503, "unavailable")
        assert headers["retry-after-ms"] == "250"
        upstream.release.set()
        for status, body in await asyncio.gather(*tasks):
            assert (status, streamed(body).finish_reasons) == (200, ["stop"])
        assert drain.count == 0


@pytest.mark.parametrize("streaming", [True, False])
async def test_at_the_bound_everybody_is_told(running, streaming):
    script = [SSE, chunk(data(event("a"))), STALL] if streaming else [STALL]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        tasks = await begin(gateway, upstream, 3, stream=streaming)
        gateway.app[DRAIN].end()
        for status, body in await asyncio.gather(*tasks):
            if streaming:
                seen = streamed(body)
                assert (status, seen.error["code"], seen.finish_reasons) == (200, "unavailable", [])
            else:
                assert status == 503
        for seen in upstream.seen:
            await asyncio.wait_for(seen.gone.wait(), 4)


async def test_a_stream_takes_no_share_of_the_bound_on_bodies_once_it_runs(running):
    large = [{"role": "user", "content": "x" * 600_000}]
    bounded = {"max_buffered_bytes": 1_000_000}
    held = [SSE, chunk(data(event("a"))), STALL]
    async with (
        ScriptedUpstream(held, answer(200, LAST)) as upstream,
        running(settings_for(upstream.url, server=bounded)) as gateway,
        gateway.post(stream=True, messages=large) as response,
    ):
        assert b'"a"' in await response.content.readany()
        assert (await gateway.whole(messages=large))[0] == 200


async def test_media_by_url_count_in_the_bound_on_bodies_and_text_is_served_all_the_same(running):
    """A request of a hundred bytes may name megabytes, which are held until upstream answers."""
    picture = answer(200, sample("png") + bytes(600_000), "image/png")
    async with ScriptedUpstream([STALL]) as upstream, ScriptedUpstream(picture) as web:
        media = {"allow_hosts": [web.url.removeprefix("http://")]}
        bounded = settings_for(upstream.url, server={"max_buffered_bytes": 605_000}, media=media)
        part = {"type": "image_url", "image_url": {"url": web.url}}
        shown = [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]
        async with running(bounded) as gateway:
            first = asyncio.create_task(gateway.whole(messages=shown))
            while not upstream.seen:
                await gateway.tick()
            status, body, headers = await gateway.whole(messages=shown)
            assert (status, body["error"]["code"]) == (503, "unavailable")
            assert headers["retry-after"] == "1"
            upstream.scripts = [answer(200, LAST)]
            text = [{"role": "user", "content": "x" * 10_000}]
            assert (await gateway.whole(messages=text))[0] == 200
            first.cancel()
            await asyncio.wait({first})
            await upstream.seen[0].gone.wait()
            assert (await gateway.whole(messages=shown))[0] == 200


async def test_large_requests_of_one_license_leave_room_for_those_of_another(running):
    large = [{"role": "user", "content": "x" * 600_000}]
    settings = {
        "server": {"max_buffered_bytes": 2_000_000},
        "licenses": [{"id": id_, "key": f"license-of-{id_}"} for id_ in ("alice", "bob")],
    }
    async with (
        ScriptedUpstream([STALL]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        alice, bob = ({"Authorization": f"license-of-{id_}"} for id_ in ("alice", "bob"))
        held = [asyncio.create_task(ask(gateway, large, alice)) for _ in range(2)]
        while len(upstream.seen) < len(held):
            await gateway.tick()
        status, body = await ask(gateway, large, alice)
        assert (status, body["error"]["code"]) == (503, "unavailable")
        assert "of this license" in body["error"]["message"]
        upstream.scripts = [answer(200, LAST)]
        assert (await ask(gateway, large, bob))[0] == 200
        for task in held:
            task.cancel()
        await asyncio.wait(held)


async def ask(gateway, messages: list[dict], headers: dict[str, str]) -> tuple[int, dict]:
    payload = {"model": "gemini-2.5-flash", "messages": messages}
    url = f"{gateway.url}/v1/chat/completions"
    async with gateway.session.post(url, json=payload, headers=headers) as response:
        return response.status, await response.json()


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("depth", [246, 249, 260])
@pytest.mark.parametrize("where", ["part", "grounding"])
async def test_what_nests_too_deep_to_be_sent_is_an_error_and_no_cut(
    running, streaming, native, depth, where
):
    """JSON may be read 1,024 deep, but made 254 deep only."""
    deep = event("x", finishReason="STOP")
    (candidate,) = deep["candidates"]
    if where == "part":
        candidate["content"]["parts"] = [{"partOfTomorrow": nested(depth)}]
    else:
        candidate["groundingMetadata"] = {"b": nested(depth)}
    script = [SSE, chunk(data(event("a"))), 0.02, chunk(data(deep)), END]
    async with (
        ScriptedUpstream(script if streaming else answer(200, deep)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        if native:
            verb = "streamGenerateContent?alt=sse" if streaming else "generateContent"
            asking = gateway.session.post(
                f"{gateway.url}/v1beta/models/gemini-2.5-flash:{verb}",
                json={"contents": [{"parts": [{"text": "hi"}]}]},
                headers={"x-goog-api-key": LICENSE},
            )
        else:
            asking = gateway.post(stream=streaming)
        async with asking as response:
            body = await response.read()
    is_sent = b'"partOfTomorrow"' in body or b'"b":' in body
    assert is_sent != (b'"error"' in body)
    assert response.status == (200 if streaming or is_sent else 502)
