"""Faults before the first byte: ordinary HTTP errors, other keys, other attempts."""

import asyncio
import gzip
import json

import pytest

from gateway.keys import CREDENTIALS, UPSTREAM
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
from tests.running import SECRET, settings_for

pytestmark = pytest.mark.usefixtures("impatient")
GOOD_WHOLE = answer(200, LAST)
GOOD_STREAM = stream(event("Hel"), event("lo "), LAST)
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"
RETRY = "type.googleapis.com/google.rpc.RetryInfo"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
MINUTE = [{"@type": QUOTA, "violations": [{"quotaId": "PerMinute"}]}]
DAY = [{"@type": QUOTA, "violations": [{"quotaId": "RequestsPerDay"}]}]
DELAY = [{"@type": RETRY, "retryDelay": "30s"}]
BAD_KEY = [{"@type": INFO, "reason": "API_KEY_INVALID"}]
SUSPENDED = [{"@type": INFO, "reason": "CONSUMER_SUSPENDED"}]
UNKNOWN = "models/x is not found for API version v1beta"

# name: script of the first request, attempts when the rest is good, (status, code) when all are bad
FAULTS = {
    "invalid argument": (refusal(400, "INVALID_ARGUMENT"), 1, (400, "invalid_request")),
    "bad key": (refusal(400, "INVALID_ARGUMENT", "x", BAD_KEY), 2, (503, "upstream_auth_error")),
    "region": (
        refusal(400, "FAILED_PRECONDITION", "User location is not supported"),
        2,
        (503, "upstream_region_error"),
    ),
    "unauthenticated": (refusal(401, "UNAUTHENTICATED"), 2, (503, "upstream_auth_error")),
    "suspended": (
        refusal(403, "PERMISSION_DENIED", "x", SUSPENDED),
        2,
        (503, "upstream_auth_error"),
    ),
    "denied": (refusal(403, "PERMISSION_DENIED", "tuned model"), 1, (403, "permission_denied")),
    "no model": (refusal(404, "NOT_FOUND", UNKNOWN), 1, (404, "model_not_found")),
    "busy": (
        refusal(429, "RESOURCE_EXHAUSTED", "x", MINUTE + DELAY),
        2,
        (429, "rate_limit_exceeded"),
    ),
    "spent": (refusal(429, "RESOURCE_EXHAUSTED", "x", DAY + DELAY), 2, (429, "insufficient_quota")),
    "no plan": (refusal(429, "RESOURCE_EXHAUSTED", "limit: 0"), 2, (429, "insufficient_quota")),
    "shared": (refusal(429, "RESOURCE_EXHAUSTED"), 2, (429, "rate_limit_exceeded")),
    "internal": (refusal(500, "INTERNAL"), 2, (502, "upstream_internal")),
    "overloaded": (refusal(503, "UNAVAILABLE"), 2, (503, "overloaded")),
    "gave up": (refusal(504, "DEADLINE_EXCEEDED"), 2, (504, "upstream_timeout")),
    "cancelled": (refusal(499, "CANCELLED"), 2, (502, "upstream_error")),
    "timed out": (refusal(408, "DEADLINE_EXCEEDED"), 2, (504, "upstream_timeout")),
    "html 408": (answer(408, b"<html>late</html>", "text/html"), 2, (504, "upstream_timeout")),
    "cancelled in 200": (
        answer(200, {"error": {"code": 499, "status": "CANCELLED", "message": "x"}}),
        2,
        (502, "upstream_error"),
    ),
    "html 200": (answer(200, b"<html>hello</html>", "text/html"), 2, (502, "upstream_empty")),
    "html 502": (answer(502, b"<html>bad</html>", "text/html"), 2, (503, "overloaded")),
    "empty 200": (answer(200, b""), 2, (502, "upstream_empty")),
    "cut json": (answer(200, b'{"candidates": [{"cont'), 2, (502, "upstream_empty")),
    "redirect": (
        [b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"],
        1,
        (502, "upstream_error"),
    ),
    "reset": ([RESET], 2, (502, "upstream_error")),
    "closed": ([CLOSE], 2, (502, "upstream_error")),
    "reset after the head": ([SSE, RESET], 2, (502, "upstream_error")),
    "error in 200": (
        answer(200, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}),
        2,
        (503, "overloaded"),
    ),
    "gzip html 200": (
        answer(200, gzip.compress(b"<html>"), "text/html\r\nContent-Encoding: gzip"),
        2,
        (502, "upstream_empty"),
    ),
    "json that is no event": (answer(200, b"[5]"), 2, (502, "upstream_empty")),
    "no error in an error": (answer(200, {"error": "text"}), 2, (502, "upstream_error")),
    "page not found": (answer(404, b"<html>", "text/html"), 1, (404, "not_found")),
    "nothing at all, 401": (answer(401, b""), 2, (503, "upstream_auth_error")),
    "garbage head": ([b"\x00\x01 not http\r\n\r\n", CLOSE], 2, (502, "upstream_error")),
}
# How the credential fares after a fault that says something about it.
FARES = {
    "bad key": "key_invalid",
    "unauthenticated": "key_invalid",
    "nothing at all, 401": "key_invalid",
    "suspended": "key_dead",
    "region": "region",
    "busy": "resting",
    "spent": "resting",
    "no plan": "resting",
    "shared": "resting",
}


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def streaming(request) -> bool:
    return request.param


async def ask(gateway, *, streaming: bool):
    if streaming:
        seen = await gateway.stream()
        return seen.status, seen.error, seen.text
    status, body, _ = await gateway.whole()
    text = body["choices"][0]["message"]["content"] if "choices" in body else ""
    return status, body.get("error"), text


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_that_another_attempt_mends_is_not_noticed(running, streaming, name):
    script, attempts, (status, code) = FAULTS[name]
    good = GOOD_STREAM if streaming else GOOD_WHOLE
    async with (
        ScriptedUpstream(script, good) as upstream,
        running(settings_for(upstream.url, keys=("key-1", "key-2"))) as gateway,
    ):
        seen_status, error, text = await ask(gateway, streaming=streaming)
        assert len(set(upstream.keys)) == len(upstream.seen) == attempts, "another key each time"
        (one, _) = gateway.app[CREDENTIALS]()
        fares = "resting" if one["resting"] else one["reason"] or "ready"
        assert fares == FARES.get(name, "ready")
        if attempts == 1:
            assert (seen_status, error["code"]) == (status, code)
        else:
            assert (seen_status, text) == (200, "Hello end" if streaming else "end")
        # The next request works.
        assert (await ask(gateway, streaming=streaming))[0] == 200


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_that_stays_is_told_in_openais_form(running, streaming, name):
    script, _, (status, code) = FAULTS[name]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        seen_status, error, _ = await ask(gateway, streaming=streaming)
        assert (seen_status, error["code"]) == (status, code)
        assert set(error) >= {"message", "type", "param", "code"}
        assert len(upstream.seen) <= 3
        assert SECRET not in str(error)


async def test_faults_of_the_key_go_to_the_other_key(running):
    async with (
        ScriptedUpstream(FAULTS["bad key"][0], GOOD_WHOLE) as upstream,
        running(settings_for(upstream.url, keys=("key-1", "key-2"))) as gateway,
    ):
        for _ in range(3):
            assert (await gateway.whole())[0] == 200
        bad, *good = upstream.keys
        assert bad not in good, "the refused key is out"


@pytest.mark.parametrize("owned", [True, False])
async def test_cached_content_is_looked_for_under_every_key(running, owned):
    """It belongs to the project of one key; none is the worse for not having it."""
    gone = refusal(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)")
    good = answer(200, LAST)
    keys = ("key-1", "key-2", "key-3")

    def script(seen, _number):
        cached = "cachedContent" in seen.body
        return gone if cached and not (owned and seen.key == "key-3") else good

    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, keys=keys)) as gateway,
    ):
        status, body, _ = await gateway.whole(google={"cached_content": "cachedContents/1"})
        assert status == (200 if owned else 404)
        assert owned or body["error"]["param"] == "google.cached_content"
        assert sorted(upstream.keys) == list(keys)
        for _ in keys:
            assert (await gateway.whole())[0] == 200
        assert sorted(upstream.keys[3:]) == list(keys)


async def test_when_every_key_rests_it_is_429_at_once_with_the_shortest_rest(running):
    async with (
        ScriptedUpstream(FAULTS["busy"][0]) as upstream,
        running(settings_for(upstream.url, keys=("key-1", "key-2"))) as gateway,
    ):
        results = [await gateway.whole() for _ in range(20)]
        assert {status for status, _, _ in results} == {429}
        assert len(upstream.seen) == 2
        assert 25 <= int(results[-1][2]["retry-after"]) <= 33


async def test_shared_capacity_is_told_to_be_left_alone_for_as_long_as_its_keys_rest(running):
    async with (
        ScriptedUpstream(FAULTS["shared"][0]) as upstream,
        running(settings_for(upstream.url, keys=("key-1", "key-2", "key-3"))) as gateway,
    ):
        for told in ("5", "10", "20"):
            status, _, headers = await gateway.whole()
            assert (status, headers["retry-after"]) == (429, told)
            # As if they had rested.
            gateway.app[UPSTREAM].pool._cool_downs.until.clear()
        assert len(upstream.seen) == 9


async def test_a_spent_day_tells_sdks_not_to_come_back(running):
    async with (
        ScriptedUpstream(FAULTS["spent"][0]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        status, body, headers = await gateway.whole()
        assert (status, body["error"]["type"]) == (429, "insufficient_quota")
        assert headers["x-should-retry"] == "false"
        assert "retry-after" not in headers


FIVE = ("k1", "k2", "k3", "k4", "k5")


@pytest.mark.parametrize("name", ["spent", "no plan", "busy", "bad key", "suspended"])
async def test_keys_that_were_not_asked_yet_are_told_of(running, streaming, name):
    """Three attempts end at three keys: two others may serve at once."""
    trouble, _, (status, _) = FAULTS[name]
    good = GOOD_STREAM if streaming else GOOD_WHOLE
    async with (
        ScriptedUpstream(trouble, trouble, trouble, good) as upstream,
        running(settings_for(upstream.url, keys=FIVE)) as gateway,
    ):
        async with gateway.post(stream=streaming) as response:
            code = (await response.json())["error"]["code"]
            told = response.status, code, response.headers.get("retry-after")
        assert told == (status, "rate_limit_exceeded" if status == 429 else "unavailable", "1")
        assert (await ask(gateway, streaming=streaming))[0] == 200
        assert len(set(upstream.keys)) == 4


@pytest.mark.parametrize("first", ["spent", "bad key"])
async def test_spent_keys_among_refused_ones_are_no_spent_quota(running, first):
    """The refused ones are looked at again within the hour, whichever were asked last."""

    def script(seen, _number):
        is_first = seen.key in FIVE[:3]
        return FAULTS["spent" if is_first == (first == "spent") else "bad key"][0]

    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, keys=FIVE)) as gateway,
    ):
        await gateway.whole()
        for _ in range(2):
            status, body, headers = await gateway.whole()
            assert (status, body["error"]["code"]) == (503, "upstream_auth_error")
            assert headers["x-should-retry"] == "false"
            assert "retry-after" not in headers
        assert len(upstream.seen) == 5


@pytest.mark.usefixtures("with_and_without_tls")
async def test_an_upstream_that_never_begins_is_a_504(running, streaming):
    settings = {"upstream": {"first_event_timeout_s": 0.5}}
    async with (
        ScriptedUpstream([STALL]) as upstream,
        running(settings_for("" + upstream.url, **settings)) as gateway,
    ):
        status, error, _ = await ask(gateway, streaming=streaming)
        assert (status, error["code"]) == (504, "upstream_timeout")
        assert len(upstream.seen) == 2
        for seen in upstream.seen:
            await asyncio.wait_for(seen.gone.wait(), 4)


async def test_no_attempt_outlives_the_deadline(running):
    settings = {"upstream": {"first_event_timeout_s": 5.0, "deadline_s": 0.2}}
    async with (
        ScriptedUpstream([OK, STALL]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
    ):
        status, _, _ = await gateway.whole()
        assert status == 504
        assert len(upstream.seen) == 1


async def test_an_outage_multiplies_the_requests_by_less_than_one_and_a_half(running):
    async with (
        ScriptedUpstream(refusal(503, "UNAVAILABLE")) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for _ in range(40):
            assert (await gateway.whole())[0] == 503
        assert len(upstream.seen) <= 60


async def test_a_refused_connection_is_a_502(running):
    async with running(settings_for("http://127.0.0.1:9")) as gateway:
        status, body, _ = await gateway.whole()
        assert (status, body["error"]["code"]) == (502, "upstream_error")


async def test_a_name_that_cannot_be_found_is_a_502(running, streaming):
    async with running(settings_for("http://no-such-host.invalid")) as gateway:
        status, error, _ = await ask(gateway, streaming=streaming)
        assert (status, error["code"]) == (502, "upstream_error")
        assert "no-such-host" not in str(error)


async def test_an_upstream_that_speaks_no_tls_is_a_502(running, streaming):
    async def plain(_, writer) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, running(settings_for(f"https://127.0.0.1:{port}")) as gateway:
        status, error, _ = await ask(gateway, streaming=streaming)
        assert (status, error["code"]) == (502, "upstream_error")


async def test_another_model_that_answered_is_told_in_a_header(running, streaming):
    def script(seen, _number):
        good = GOOD_STREAM if streaming else GOOD_WHOLE
        return good if "spare-model" in seen.path else refusal(503, "UNAVAILABLE")

    settings = {"models": {"fallbacks": {"gemini-2.5-flash": ["spare-model"]}}}
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=streaming) as response,
    ):
        assert response.status == 200
        assert response.headers["x-gateway-model"] == "spare-model"
        assert b"end" in await response.read()


async def test_an_upstream_without_a_head_is_overtaken_by_a_second_attempt(running, streaming):
    good = GOOD_STREAM if streaming else GOOD_WHOLE
    settings = {"upstream": {"hedge_after_s": 0.05}}
    async with (
        ScriptedUpstream([STALL], good) as upstream,
        running(settings_for(upstream.url, keys=("key-1", "key-2"), **settings)) as gateway,
    ):
        status, _, _ = await ask(gateway, streaming=streaming)
        assert status == 200
        assert len(set(upstream.keys)) == len(upstream.seen) == 2
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 4)


@pytest.mark.parametrize("name", ["html 200", "internal", "reset", "overloaded"])
async def test_no_outage_of_any_kind_is_made_worse(running, name):
    async with (
        ScriptedUpstream(FAULTS[name][0]) as upstream,
        running(settings_for(upstream.url, keys=("key-1", "key-2"))) as gateway,
    ):
        for _ in range(20):
            assert (await gateway.whole())[0] in {502, 503}
        assert len(upstream.seen) <= 30


GOOD = {
    "of the wrong type": answer(200, LAST, "text/plain"),
    "compressed": answer(
        200, gzip.compress(json.dumps(LAST).encode()), "application/json\r\nContent-Encoding: gzip"
    ),
    "as a list of events": answer(200, json.dumps([event("a"), LAST]).encode()),
    "of eight megabytes": answer(200, {**LAST, **event("x" * (8 << 20), finishReason="STOP")}),
}


@pytest.mark.parametrize("name", GOOD)
async def test_an_unusual_but_good_whole_answer_is_taken(running, name):
    async with (
        ScriptedUpstream(GOOD[name]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        status, body, _ = await gateway.whole()
        assert (status, body["choices"][0]["finish_reason"]) == (200, "stop")
        assert len(upstream.seen) == 1


OVERLOADED = {
    "error": {"code": 503, "status": "UNAVAILABLE", "message": "The model is overloaded."}
}


@pytest.mark.parametrize("failure", [chunk(data(OVERLOADED)), chunk(b"data: {oops\r\n\r\n"), CLOSE])
async def test_what_fails_behind_an_event_that_says_nothing_is_tried_again(running, failure):
    """Nothing has gone out: such an event waits for the next one."""
    script = [SSE, chunk(data({"usageMetadata": {"promptTokenCount": 3}})), 0.05, failure, END]
    async with (
        ScriptedUpstream(script, stream(LAST)) as upstream,
        running(settings_for(upstream.url, keys=("k1", "k2"))) as gateway,
    ):
        seen = await gateway.stream()
        assert (seen.status, seen.text, seen.error) == (200, "end", None)
        assert len(upstream.seen) == 2
