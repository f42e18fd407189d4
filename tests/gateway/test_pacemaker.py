"""The one timer of a stream, looked at through a whole gateway with short limits."""

import asyncio
import socket
import time

import orjson
import pytest

from gateway.dialects.openai_chat.reply import ChatReply
from tests.faults.scripted import (
    END,
    LAST,
    SSE,
    STALL,
    ScriptedUpstream,
    chunk,
    data,
    event,
    stream,
)
from tests.running import LICENSE, settings_for, streamed


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
        timers = [timer for timer in gateway.loop._scheduled if not timer.cancelled()]
        assert not [timer for timer in timers if "Pacemaker" in repr(timer)]


async def test_a_commit_in_one_turn_with_the_first_event_ends_nothing(running):
    def script(*_):
        yield SSE + chunk(data(event("first ")))
        # After this the loop finds the event and the due timer at once.
        time.sleep(0.3)
        yield from (0.1, chunk(data(LAST)), END)

    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, upstream={"commit_after_s": 0.2})) as gateway,
    ):
        seen = await gateway.stream()
    assert (seen.text, seen.finish_reasons, seen.done) == ("first end", ["stop"], True)


SOUND = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA" * 100}}


@pytest.mark.parametrize("says_nothing", [True, False])
async def test_the_role_of_speech_comes_first_and_once(running, monkeypatch, says_nothing):
    def slow_open(reply, index, chunks):
        # In a thread; the commit falls due meanwhile.
        time.sleep(0.2)
        return begin(reply, index, chunks)

    begin = ChatReply._open
    if not says_nothing:
        monkeypatch.setattr(ChatReply, "_open", slow_open)
    spoken = {"candidates": [{"content": {"parts": [SOUND]}, "finishReason": "STOP"}]}
    script = [SSE, chunk(data({"candidates": [{"index": 0}]})), 0.3, chunk(data(spoken)), END]
    limits = {"commit_after_s": 0.1, "keepalive_s": 0.1}
    async with (
        ScriptedUpstream(script if says_nothing else stream(spoken)) as upstream,
        running(settings_for(upstream.url, upstream=limits)) as gateway,
    ):
        seen = await gateway.stream(model="gemini-2.5-flash-preview-tts", modalities=["audio"])
    roles = ["role" in one["choices"][0]["delta"] for one in seen.chunks]
    assert (roles[0], sum(roles), seen.finish_reasons) == (True, 1, ["stop"])


async def test_an_answer_without_content_ends_after_a_commit_as_it_does_without_one(running):
    silent = {"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}
    script = [SSE, STALL, chunk(data(silent)), END]
    settings = {"upstream": {"commit_after_s": 0.05}}
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        assert "x-request-id" in response.headers
        upstream.release.set()
        seen = streamed(await response.read())
    assert (seen.text, seen.finish_reasons, seen.done) == ("", ["stop"], True)
    assert (seen.error, len(upstream.seen)) == (None, 1)


@pytest.mark.parametrize("commit_after_s", [0.1, 0.5])
async def test_a_client_that_reads_slowly_but_always_is_not_cut(running, commit_after_s):
    body = orjson.dumps(
        {
            "model": "gemini-2.5-flash",
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
        }
    )
    script = stream(event("x" * 12_000_000), LAST)
    limits = {
        "upstream": {"commit_after_s": commit_after_s},
        "server": {"send_timeout_s": 0.2},
    }
    loop = asyncio.get_running_loop()
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, **limits)) as gateway,
    ):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            client.setblocking(False)
            port = int(gateway.url.split(":")[2].split("/")[0])
            await loop.sock_connect(client, ("127.0.0.1", port))
            head = (
                "POST /gemini/v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: {LICENSE}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            await loop.sock_sendall(client, head.encode() + body)
            end = b""
            while not end.endswith(b"[DONE]\n\n\r\n0\r\n\r\n"):
                piece = await loop.sock_recv(client, 100_000)
                assert piece, "cut"
                end = (end + piece)[-100:]
                await asyncio.sleep(0.01)
