"""Faults after the first byte: one in-band error, then the end; never a hang, never a false stop."""

import asyncio
import gzip
import json
import os

import psutil
import pytest

from tests.faults.scripted import (
    CLOSE,
    END,
    LAST,
    OK,
    RESET,
    SSE,
    STALL,
    ScriptedUpstream,
    answer,
    chunk,
    data,
    event,
    refusal,
    stream,
)
from tests.running import settings_for

pytestmark = pytest.mark.usefixtures("impatient")
HELLO = chunk(data(event("Hello")))
OVERLOADED = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}
RAW = data(event("äöü漢字"))

BREAKS = {
    "reset": ([SSE, HELLO, RESET], "upstream_stream_truncated"),
    "closed in the body": ([SSE, HELLO, CLOSE], "upstream_stream_truncated"),
    "clean end without a finish reason": ([SSE, HELLO, END], "upstream_stream_truncated"),
    "cut in an event": ([SSE, HELLO, chunk(RAW[:20]), CLOSE], "upstream_stream_truncated"),
    "cut in a letter": (
        [SSE, HELLO, chunk(RAW[: RAW.index("漢".encode()) + 1]), CLOSE],
        "upstream_stream_truncated",
    ),
    "end in a letter": (
        [SSE, HELLO, chunk(RAW[: RAW.index("漢".encode()) + 1]), END],
        "upstream_stream_truncated",
    ),
    "no letter": ([SSE, HELLO, chunk(RAW.replace("漢".encode(), b"\xff")), END], "upstream_error"),
    "html page": ([SSE, HELLO, chunk(b"<html>502 Bad Gateway</html>\r\n"), END], None),
    "half of eight megabytes": (
        [SSE, HELLO, chunk(data(event("x" * (8 << 20)))[: 4 << 20]), RESET],
        "upstream_stream_truncated",
    ),
    "garbage event": ([SSE, HELLO, chunk(b"data: {nonsense\r\n\r\n"), END], "upstream_error"),
    "error event": ([SSE, HELLO, chunk(data(OVERLOADED)), END], "overloaded"),
    "cancelled": (
        [SSE, HELLO, chunk(data({"error": {"code": 499, "status": "CANCELLED"}})), END],
        "upstream_error",
    ),
    "bare json tail": ([SSE, HELLO, chunk(json.dumps(OVERLOADED).encode()), END], "overloaded"),
    "bare json list": ([SSE, HELLO, chunk(json.dumps([OVERLOADED]).encode()), END], "overloaded"),
    "event that is no object": ([SSE, HELLO, chunk(b"data: 5\r\n\r\n"), END], "upstream_error"),
    "error event in the read of another": (
        [SSE, HELLO, 0.05, chunk(data(event(" you")) + data(OVERLOADED)), END],
        "overloaded",
    ),
    "broken chunk size": ([SSE, HELLO, b"zz\r\nboom\r\n", STALL], None),
    "stall": ([SSE, HELLO, STALL], "upstream_timeout"),
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.usefixtures("with_and_without_tls")
async def test_a_break_after_the_first_byte_is_told_in_band(running, name):
    """What was delivered is not repeated, and the end is never called a good one.

    Reported in freellmapi#1288, vercel/ai#5217, OmniRoute#4177, llmgateway#3616, gemini-balance,
    uni-api#146.
    """
    script, code = BREAKS[name]
    script = [*script[:2], 0.05, *script[2:]]
    settings = {"upstream": {"idle_timeout_s": 0.3}}
    async with (
        ScriptedUpstream(script, stream(event("fine "), LAST)) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        seen = await asyncio.wait_for(gateway.stream(), 5)
        assert seen.text.startswith("Hello")
        assert seen.error is not None
        assert seen.error["code"] == code or code is None
        assert seen.error["type"] == "server_error"
        assert seen.finish_reasons == []
        assert seen.done
        assert len(upstream.seen) == 1, "nothing is tried again once a byte has gone out"
        if STALL in script:
            await asyncio.wait_for(upstream.seen[0].gone.wait(), 4)
        again = await gateway.stream()
        assert (again.text, again.finish_reasons) == ("fine end", ["stop"])


@pytest.mark.parametrize(
    ("bad", "code"),
    [(data(OVERLOADED), "overloaded"), (b"data: {nonsense\r\n\r\n", "upstream_error")],
)
async def test_the_first_event_is_delivered_even_if_an_error_comes_in_the_same_read(
    running, bad, code
):
    script = [SSE + chunk(data(event("Hello")) + bad), END]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        seen = await gateway.stream()
        assert (seen.text, seen.error["code"], seen.done) == ("Hello", code, True)
        assert len(upstream.seen) == 1


@pytest.mark.parametrize("ending", [[RESET], [CLOSE], [END], [STALL]])
@pytest.mark.usefixtures("with_and_without_tls")
async def test_a_break_after_the_finish_reason_is_success(running, ending):
    settings = {"upstream": {"idle_timeout_s": 0.3}}
    script = [SSE, HELLO, chunk(data(LAST)), 0.05, *ending]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        seen = await asyncio.wait_for(gateway.stream(), 5)
        assert (seen.text, seen.finish_reasons, seen.error) == ("Helloend", ["stop"], None)
        assert seen.done


WHOLE = json.dumps(event("äöü漢字", finishReason="STOP"), ensure_ascii=False).encode()
HEAD = OK + b"Content-Type: application/json\r\n"
PACKED = gzip.compress(WHOLE)
HALVES = {
    "reset": [HEAD + b"Content-Length: 500\r\n\r\n", WHOLE[:20], 0.05, RESET],
    "closed": [HEAD + b"Content-Length: 500\r\n\r\n", WHOLE[:20], CLOSE],
    "clean end": [HEAD + b"Content-Length: 20\r\n\r\n", WHOLE[:20]],
    "cut in a letter": [
        HEAD + b"Content-Length: 500\r\n\r\n" + WHOLE[: WHOLE.index("漢".encode()) + 1],
        CLOSE,
    ],
    "chunk without end": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk(WHOLE), CLOSE],
    "broken chunk size": [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(WHOLE[:20]) + b"zz\r\nboom\r\n",
        STALL,
    ],
    "half of a gzip": [
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 30\r\n\r\n" + PACKED[:30],
    ],
    "no gzip": [HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"],
    "stall": [HEAD + b"Content-Length: 500\r\n\r\n" + WHOLE[:20], STALL],
}


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "lasting"])
@pytest.mark.parametrize("name", HALVES)
@pytest.mark.usefixtures("with_and_without_tls")
async def test_a_whole_answer_that_breaks_off_is_asked_for_again_or_an_error(running, name, mended):
    """Nothing of it has gone out, however much of it has come."""
    good, settings = answer(200, LAST), {"upstream": {"first_event_timeout_s": 0.3}}
    async with (
        ScriptedUpstream(HALVES[name], *([good] if mended else [])) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        status, body, _ = await asyncio.wait_for(gateway.whole(), 10)
        if mended:
            assert (status, body["choices"][0]["message"]["content"]) == (200, "end")
            assert len(upstream.seen) == 2
        else:
            assert status in {502, 504}
            assert body["error"]["code"] in {"upstream_error", "upstream_empty", "upstream_timeout"}
            assert 2 <= len(upstream.seen) <= 3
        if name == "stall":
            await asyncio.wait_for(upstream.seen[0].gone.wait(), 4)
        upstream.scripts = [good]
        assert (await gateway.whole())[0] == 200


@pytest.mark.usefixtures("with_and_without_tls")
async def test_an_event_of_eight_megabytes_arrives_whole(running):
    text = "x" * (8 << 20)
    async with (
        ScriptedUpstream(stream(event(text), LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        seen = await gateway.stream()
        assert len(seen.text) == len(text) + 3


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("before", [[], [HELLO, 0.05]], ids=["at once", "after an event"])
async def test_an_event_without_end_is_given_up_before_it_fills_the_memory(
    running, streaming, before
):
    endless = [SSE, *before, chunk(b'data: {"a":"'), *[chunk(b"x" * 65_536)] * 3000, STALL]
    process = psutil.Process(os.getpid())
    async with (
        ScriptedUpstream(endless) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        idle = process.memory_info().rss
        asking = asyncio.create_task(gateway.stream() if streaming else gateway.whole())
        largest = idle
        while not asking.done():
            largest = max(largest, process.memory_info().rss)
            await gateway.tick()
        told = asking.result()
        error = told.error if streaming else told[1]["error"]
        assert error["code"] == "upstream_error"
        assert len(upstream.seen) == 1, "it would be as large again"
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 4)
    assert largest - idle < 200 << 20


@pytest.mark.usefixtures("with_and_without_tls")
async def test_a_stream_cut_at_every_byte_reads_the_same(running):
    """Reported in BerriAI/litellm#5650."""
    raw = data(event("äöü漢字🙂")) + data(LAST)
    script = [SSE, *(chunk(raw[i : i + 1]) for i in range(len(raw))), END]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        seen = await gateway.stream()
        assert seen.text == "äöü漢字🙂end"


@pytest.mark.parametrize("bad", [b"data: {nonsense\r\n\r\n", data(OVERLOADED), b"data: 5\r\n\r\n"])
async def test_an_upstream_that_goes_on_after_its_error_is_cut(running, bad):
    async with (
        ScriptedUpstream([SSE, HELLO, 0.05, chunk(bad), STALL]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        assert (await asyncio.wait_for(gateway.stream(), 4)).error is not None
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 4)


async def test_a_stream_of_the_wrong_type_is_read_all_the_same(running):
    head = SSE.replace(b"text/event-stream", b"text/plain")
    async with (
        ScriptedUpstream([head, HELLO, chunk(data(LAST)), END]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        assert (await gateway.stream()).text == "Helloend"


async def test_a_compressed_stream_is_read_all_the_same(running):
    packed = gzip.compress(data(event("Hello ")) + data(LAST))
    head = SSE.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    async with (
        ScriptedUpstream([head, chunk(packed), END]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        assert (await gateway.stream()).text == "Hello end"


async def test_a_silent_upstream_is_committed_to_and_kept_alive(running):
    settings = {"upstream": {"commit_after_s": 0.1, "keepalive_s": 0.1}}
    script = [STALL, *stream(event("late "), LAST)]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        first = [await response.content.readuntil(b"\n\n") for _ in range(3)]
        assert b'"role":"assistant"' in first[0]
        assert b'"delta":{}' in first[1]
        assert b'"delta":{}' in first[2]
        upstream.release.set()
        rest = await response.content.read()
        assert b"late " in rest
        assert b'"role"' not in rest
        assert rest.endswith(b"data: [DONE]\n\n")


QUIET = chunk(data({"promptFeedback": {"safetyRatings": []}}))


async def test_an_event_that_says_nothing_holds_no_commit_up(running):
    settings = {"upstream": {"commit_after_s": 0.1, "keepalive_s": 60}}
    script = [SSE, QUIET, STALL, chunk(data(LAST)), END]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        first = await asyncio.wait_for(response.content.readuntil(b"\n\n"), 4)
        assert b'"role":"assistant"' in first
        upstream.release.set()
        rest = await response.content.read()
        assert b'"end"' in rest
        assert b'"role"' not in rest
        assert rest.endswith(b"data: [DONE]\n\n")


async def test_a_break_behind_an_event_that_says_nothing_is_an_ordinary_error(running):
    """The first byte has not gone out."""
    async with (
        ScriptedUpstream([SSE, QUIET, 0.05, END]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        seen = await gateway.stream()
        assert (seen.status, seen.error["code"]) == (502, "upstream_stream_truncated")


async def test_after_an_early_commit_an_end_without_a_word_is_an_end(running):
    settings = {"upstream": {"commit_after_s": 0.1}}
    ending = chunk(data({"candidates": [{"finishReason": "STOP"}]}))
    async with (
        ScriptedUpstream([SSE, QUIET, 0.3, ending, RESET]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        seen = await gateway.stream()
        assert (seen.finish_reasons, seen.error, seen.done) == (["stop"], None, True)


async def test_what_fails_after_an_early_commit_is_told_in_band_and_not_tried_again(running):
    settings = {"upstream": {"commit_after_s": 0.1}}
    async with (
        ScriptedUpstream([0.3, RESET]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        seen = await gateway.stream()
        assert seen.status == 200
        assert seen.error["code"] == "upstream_error"
        assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    "script",
    [
        refusal(503, "UNAVAILABLE", "overloaded"),
        refusal(400, "INVALID_ARGUMENT", "Penalty is not enabled for this model"),
    ],
    ids=["a fallback", "a healed request"],
)
async def test_after_an_early_commit_nothing_else_is_sent(running, script):
    """The head is out and could no longer tell of another model or of a dropped field."""
    settings = {
        "upstream": {"commit_after_s": 0.1},
        "models": {"fallbacks": {"gemini-2.5-flash": ["gemini-2.5-pro"]}},
    }
    async with (
        ScriptedUpstream([0.3, *script]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        seen = await gateway.stream(presence_penalty=1)
        assert (seen.status, seen.finish_reasons, seen.done) == (200, [], True)
        assert seen.error is not None
        assert len(upstream.seen) == 1


@pytest.mark.parametrize("mode", ["comment", "off"])
async def test_the_keepalive_can_be_a_comment_or_nothing(running, mode):
    settings = {"upstream": {"commit_after_s": 0.05, "keepalive_s": 0.05, "keepalive": mode}}
    async with (
        ScriptedUpstream([0.4, *stream(event("late "), LAST)]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        body = await response.read()
        assert (b": keepalive\n\n" in body) == (mode == "comment")
        assert b'"delta":{},"finish_reason":null' not in body
