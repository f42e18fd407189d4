"""Quotas, bad keys, places and storms: who is told what, and which key or model comes next."""

import pytest

from gateway.keys import CREDENTIALS
from tests.faults.scripted import refusal
from tests.symptoms.reply import ask, says

KEYS = {"keys": ("key-1", "key-2")}
TYPE = "type.googleapis.com/google.rpc."
GOOD = [says({"text": "fine"}, finish="STOP")]


def quota(name: str, delay: str = "17s") -> tuple:
    details = [
        {"@type": f"{TYPE}QuotaFailure", "violations": [{"quotaId": name}]},
        {"@type": f"{TYPE}RetryInfo", "retryDelay": delay},
    ]
    return tuple(refusal(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", details))


MINUTE = quota("GenerateRequestsPerMinutePerProjectPerModel")
DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")


def resting(gateway) -> list[bool]:
    return [bool(one["resting"]) for one in gateway.app[CREDENTIALS]()]


async def test_the_wait_that_gemini_tells_is_told_to_the_client(scripted, streaming):
    """It is kept to by the gateway, too: the second request does not go up.

    Reported in jp#1061, lettertrace#34, mscraftsman#131.
    """
    async with scripted(MINUTE) as (gateway, upstream):
        for _ in range(2):
            reply = await ask(gateway, streaming=streaming)
            assert (reply.status, reply.error["code"]) == (429, "rate_limit_exceeded")
            # A little more than told, so that not all come back at once.
            assert 16 <= int(reply.headers["retry-after"]) <= 21
            assert 15_000 < int(reply.headers["retry-after-ms"]) <= 21_000
            assert "x-should-retry" not in reply.headers
        assert len(upstream.seen) == 1


async def test_a_quota_of_the_day_is_not_tried_again(scripted, streaming):
    """Gemini's delay of seconds means nothing then: the key rests, and SDKs are told to stop.

    Reported in OmniRoute#9504, gemini-cli#10925.
    """
    async with scripted(DAY) as (gateway, upstream):
        for _ in range(2):
            reply = await ask(gateway, streaming=streaming)
            assert (reply.status, reply.error["type"]) == (429, "insufficient_quota")
            assert reply.headers["x-should-retry"] == "false"
            assert "retry-after" not in reply.headers
        assert len(upstream.seen) == 1
        assert resting(gateway) == [True]


@pytest.mark.parametrize("script", [MINUTE, DAY], ids=["a minute's", "a day's"])
async def test_another_key_answers_while_one_rests(scripted, streaming, script):
    """Reported in OmniRoute#9504, mscraftsman#131."""
    async with scripted(script, GOOD, **KEYS) as (gateway, upstream):
        for _ in range(2):
            reply = await ask(gateway, streaming=streaming)
            assert (reply.status, reply.text) == (200, "fine")
        first, *others = upstream.keys
        assert len(others) == 2
        assert first not in others
        assert sorted(resting(gateway)) == [False, True]


BAD = {
    "invalid": refusal(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        [{"@type": f"{TYPE}ErrorInfo", "reason": "API_KEY_INVALID"}],
    ),
    "leaked": refusal(
        403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."
    ),
    "unknown": refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_key_goes_out_and_the_next_one_answers(scripted, streaming, name):
    """It is not asked again; nobody but the operator hears of it.

    Reported in sub2api#1709.
    """
    async with scripted(tuple(BAD[name]), GOOD, **KEYS) as (gateway, upstream):
        for _ in range(3):
            reply = await ask(gateway, streaming=streaming)
            assert (reply.status, reply.text) == (200, "fine")
        bad, *others = upstream.keys
        assert len(others) == 3
        assert bad not in others
        assert sum(one["reason"] is not None for one in gateway.app[CREDENTIALS]()) == 1


@pytest.mark.parametrize("name", BAD)
async def test_a_license_is_not_blamed_for_the_operators_key(scripted, streaming, name):
    """Neither 400 nor 401: the client could do nothing about it.

    Reported in sub2api#1709.
    """
    async with scripted(tuple(BAD[name])) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert (reply.status, reply.error["code"]) == (503, "upstream_auth_error")
    assert "key-1" not in reply.error["message"]


PLACE = tuple(
    refusal(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")
)


async def test_a_place_that_gemini_does_not_serve_is_named(scripted, streaming):
    """Reported in gemini-balance#328, openai-gemini#4."""
    async with scripted(PLACE) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert (reply.status, reply.error["code"]) == (503, "upstream_region_error")
    assert "location" in reply.error["message"].lower()


async def test_a_key_with_another_place_answers_instead(scripted, streaming):
    """Reported in gemini-balance#328, openai-gemini#4."""
    async with scripted(PLACE, GOOD, **KEYS) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
        assert (reply.status, reply.text) == (200, "fine")
        assert len(set(upstream.keys)) == 2


STORM = tuple(refusal(503, "UNAVAILABLE", "The model is overloaded. Please try again later."))
FALLBACK = {"models": {"fallbacks": {"gemini-2.5-flash": ["gemini-2.5-flash-lite"]}}}


async def test_another_model_answers_while_one_is_overloaded(scripted, streaming):
    """With the last of the attempts that are allowed, before the first byte; a header tells its name.

    Reported in googleapis/python-genai#1373.
    """
    async with scripted(STORM, STORM, GOOD, **FALLBACK) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
        models = [one.path.rpartition("/")[2].partition(":")[0] for one in upstream.seen]
    assert (reply.status, reply.text) == (200, "fine")
    assert models == ["gemini-2.5-flash"] * 2 + ["gemini-2.5-flash-lite"]
    assert reply.headers["x-gateway-model"] == "gemini-2.5-flash-lite"


async def test_an_overloaded_model_is_asked_a_few_times_only(scripted, streaming):
    """Reported in googleapis/python-genai#1373."""
    async with scripted(STORM) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
        assert (reply.status, reply.error["code"]) == (503, "overloaded")
        assert len(upstream.seen) == 3
