"""What is done about a fault before the first byte: replacement, fallback, hedging, weak answers."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from errno import EMFILE

import pytest

from gateway.errors import (
    BadRequest,
    GatewayError,
    ModelNotFound,
    RateLimited,
    Unavailable,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamTimeout,
)
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.settings import Models, Replacement
from gateway.upstream import breaker, retry
from gateway.upstream.attempts import Attempts
from gateway.upstream.breaker import HOST
from gateway.upstream.faults import Fault, Kind
from tests.faults.scripted import (
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
    refusal,
    stream,
)

CALL = UpstreamCall("old", {}, stream=True)
UNKNOWN = refusal(404, "NOT_FOUND", "models/old is not found for API version v1beta")
BUSY = refusal(503, "UNAVAILABLE")
EMPTY = stream({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]})
GOOD = stream(event("good "), LAST)


async def ask(upstream, call=CALL, outcome=None):
    outcome = outcome or Outcome()
    async with upstream.open(call, outcome, Notes()) as batches:
        events = [one async for batch in batches for one in batch]
    text = "".join(
        part["text"]
        for one in events
        for candidate in one["candidates"][:1]
        for part in candidate["content"].get("parts", ())
    )
    return text, outcome


def busy_for(seconds: str) -> list:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds}
    return refusal(503, "UNAVAILABLE", "The model is overloaded.", [info])


def open_circuit(upstream, name: str) -> None:
    for _ in range(breaker.FAILURES):
        upstream.breakers.failure(name, upstream.breakers.failures_counted)


def paths(scripted: ScriptedUpstream) -> list[str]:
    return [seen.path.split("models/")[1].split(":")[0] for seen in scripted.seen]


async def test_a_model_that_is_gone_is_replaced_and_that_is_remembered(gemini):
    models = Models(replacements={"old": Replacement(model="new")})
    async with ScriptedUpstream(UNKNOWN, GOOD) as scripted:
        upstream = await gemini(scripted.url, models=models)
        text, outcome = await ask(upstream)
        assert (text, outcome.model, outcome.attempts) == ("good end", "new", 2)
        assert outcome.credential == "c1"
        assert upstream.names.resolve("old") == "new"
        assert paths(scripted) == ["old", "new"]


async def test_a_model_that_is_gone_without_replacement_is_a_404(gemini):
    async with ScriptedUpstream(UNKNOWN) as scripted:
        with pytest.raises(ModelNotFound):
            await ask(await gemini(scripted.url))
        assert len(scripted.seen) == 1


async def test_replacements_in_a_circle_are_followed_once(gemini):
    models = Models(
        replacements={"old": Replacement(model="new"), "new": Replacement(model="old")},
        fallbacks={"old": ("new", "old", "spare")},
    )

    def script(seen, _number):
        return GOOD if "spare" in seen.path else UNKNOWN

    async with ScriptedUpstream(script) as scripted:
        text, _ = await ask(await gemini(scripted.url, models=models))
        assert text == "good end"
        assert paths(scripted) == ["old", "new", "spare"]


async def test_a_fallback_answers_when_the_model_cannot(gemini):
    models = Models(fallbacks={"old": ("second", "third")})
    async with ScriptedUpstream(BUSY, BUSY, GOOD) as scripted:
        upstream = await gemini(scripted.url, models=models)
        text, outcome = await ask(upstream)
        assert (text, outcome.model) == ("good end", "third")
        assert paths(scripted) == ["old", "second", "third"]


@pytest.mark.parametrize("keys", ["a", "abc", "abcd"])
async def test_a_fallback_answers_when_no_key_gets_shared_capacity(gemini, keys):
    models = Models(fallbacks={"old": ("second",)})

    def script(seen, _number):
        return GOOD if "second" in seen.path else refusal(429, "RESOURCE_EXHAUSTED")

    async with ScriptedUpstream(script) as scripted:
        text, outcome = await ask(await gemini(scripted.url, keys=tuple(keys), models=models))
        assert (text, outcome.model) == ("good end", "second")


async def test_when_no_fallback_can_the_last_error_is_told(gemini):
    models = Models(fallbacks={"old": ("second",)})
    async with ScriptedUpstream(BUSY) as scripted:
        upstream = await gemini(scripted.url, models=models)
        with pytest.raises(UpstreamOverloaded):
            await ask(upstream)
        assert paths(scripted) == ["old", "old", "second"]


@pytest.mark.parametrize(
    ("attempts", "asked"),
    [
        (1, ["old"]),
        (2, ["old", "second"]),
        (4, ["old", "old", "second", "third"]),
        (6, ["old", "old", "old", "second", "second", "third"]),
    ],
)
async def test_fallbacks_share_the_attempts_of_the_request(gemini, impatient, attempts, asked):
    models = Models(fallbacks={"old": ("second", "third")})
    async with ScriptedUpstream(BUSY) as scripted:
        upstream = await gemini(scripted.url, models=models, max_attempts=attempts)
        with pytest.raises(UpstreamOverloaded):
            await ask(upstream)
        assert paths(scripted) == asked


EXHAUSTED = (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize(
    "script",
    [
        refusal(*EXHAUSTED, "Please retry in 30s."),
        refusal(*EXHAUSTED, "Please retry in 9000s."),
        refusal(*EXHAUSTED, "Quota exceeded for metric: x, limit: 0, model: old"),
        refusal(*EXHAUSTED),
        UNKNOWN,
        [STALL],
    ],
    ids=["busy", "spent", "not in plan", "shared", "unknown", "stuck"],
)
async def test_a_fallback_is_asked_for_what_concerns_one_model(gemini, script):
    def by_model(seen, _number):
        return GOOD if "second" in seen.path else script

    models = Models(fallbacks={"old": ("second",)})
    async with ScriptedUpstream(by_model) as scripted:
        options = {"max_attempts": 2, "first_event_timeout_s": 0.3}
        upstream = await gemini(scripted.url, models=models, **options)
        assert (await ask(upstream))[1].model == "second"


@pytest.mark.parametrize(
    "script",
    [
        refusal(400, "INVALID_ARGUMENT"),
        refusal(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        refusal(403, "PERMISSION_DENIED"),
        refusal(404, "NOT_FOUND"),
        refusal(500, "INTERNAL"),
        refusal(504, "DEADLINE_EXCEEDED"),
        [RESET],
    ],
)
async def test_no_fallback_is_asked_for_what_another_model_would_not_change(
    gemini, impatient, script
):
    models = Models(fallbacks={"old": ("second",)})
    async with ScriptedUpstream(script) as scripted:
        upstream = await gemini(scripted.url, models=models)
        with pytest.raises(GatewayError):
            await ask(upstream)
        assert set(paths(scripted)) == {"old"}


async def test_no_fallback_stands_in_for_a_model_of_vectors(gemini):
    models = Models(fallbacks={"old": ("second",)})
    async with ScriptedUpstream(BUSY) as scripted:
        upstream = await gemini(scripted.url, models=models, max_attempts=2)
        with pytest.raises(UpstreamOverloaded):
            await ask(upstream, UpstreamCall("old", {}, stream=False, action="batchEmbedContents"))
        assert paths(scripted) == ["old", "old"]


async def test_a_fallback_is_asked_rather_than_waited_for_the_model(gemini):
    models = Models(fallbacks={"old": ("second",)})
    async with ScriptedUpstream(busy_for("30s"), GOOD) as scripted:
        upstream = await gemini(scripted.url, models=models)
        await asyncio.wait_for(ask(upstream), 4)
        assert paths(scripted) == ["old", "second"]


async def test_a_fallback_is_asked_instead_of_a_model_that_is_silent(gemini):
    models = Models(fallbacks={"old": ("second",)})
    async with ScriptedUpstream([STALL], GOOD) as scripted:
        limits = {"first_event_timeout_s": 0.05, "max_attempts": 2}
        upstream = await gemini(scripted.url, models=models, **limits)
        await asyncio.wait_for(ask(upstream), 4)
        assert paths(scripted) == ["old", "second"]


async def test_no_fallback_is_asked_after_the_deadline(gemini):
    models = Models(fallbacks={"old": ("second",)})
    outcome = Outcome()
    async with ScriptedUpstream([STALL]) as scripted:
        upstream = await gemini(scripted.url, models=models, deadline_s=0.1)
        with pytest.raises(UpstreamTimeout):
            await ask(upstream, outcome=outcome)
    assert (outcome.model, outcome.attempts) == ("old", 1)


async def test_after_the_head_was_sent_for_a_file_the_same_model_is_tried_again(gemini, impatient):
    models = Models(fallbacks={"old": ("second",)})
    async with ScriptedUpstream(BUSY) as scripted:
        upstream = await gemini(scripted.url, models=models, max_attempts=2)
        with pytest.raises(UpstreamOverloaded):
            await ask(upstream, outcome=Outcome(begun=True))
        assert paths(scripted) == ["old", "old"]


async def test_pauses_grow_from_attempt_to_attempt(gemini, monkeypatch):
    longest = []
    monkeypatch.setattr(random, "uniform", lambda _, most: longest.append(most) or 0.0)
    async with ScriptedUpstream(BUSY, BUSY, GOOD) as scripted:
        await ask(await gemini(scripted.url))
    assert longest == [retry.BASE_S, 2 * retry.BASE_S]


async def test_requests_earn_what_retries_cost(gemini):
    async with ScriptedUpstream(GOOD) as scripted:
        upstream = await gemini(scripted.url)
        while upstream.budget.take():
            pass
        for _ in range(5):
            await ask(upstream)
        assert upstream.budget.take()


@pytest.mark.parametrize("hedge_after_s", [0, 0.02])
async def test_without_budget_there_is_one_attempt(gemini, monkeypatch, hedge_after_s):
    script = [0.1, *GOOD] if hedge_after_s else BUSY
    async with ScriptedUpstream(script) as scripted:
        upstream = await gemini(scripted.url, hedge_after_s=hedge_after_s)
        monkeypatch.setattr(retry.RetryBudget, "take", lambda _: False)
        with suppress(UpstreamOverloaded):
            await ask(upstream)
        assert len(scripted.seen) == 1


async def test_the_last_attempt_may_bring_an_empty_answer(gemini):
    async with ScriptedUpstream(EMPTY) as scripted:
        text, outcome = await ask(await gemini(scripted.url, max_attempts=1))
        assert (text, outcome.attempts) == ("", 1)


@pytest.mark.parametrize("attempts", [2, 3])
async def test_an_empty_answer_is_asked_for_once_more(gemini, attempts):
    async with ScriptedUpstream(EMPTY, GOOD) as scripted:
        text, outcome = await ask(await gemini(scripted.url, max_attempts=attempts))
        assert (text, outcome.attempts) == ("good end", 2)


async def test_an_empty_stop_with_text_behind_it_is_no_empty_answer(gemini):
    stop = {"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}
    script = [SSE, chunk(data(stop)), 0.05, chunk(data(LAST)), END]
    async with ScriptedUpstream(script) as scripted:
        text, outcome = await ask(await gemini(scripted.url))
        assert (text, outcome.attempts) == ("end", 1)


@pytest.mark.parametrize("change", [{"verbatim": True}, {"action": "embedContent"}])
async def test_an_empty_answer_is_passed_on_where_nothing_may_be_changed(gemini, change):
    call = replace(CALL, stream=False, **change)
    empty = answer(200, {"candidates": []})
    async with ScriptedUpstream(empty) as scripted:
        assert (await ask(await gemini(scripted.url), call))[1].attempts == 1


async def test_a_second_empty_answer_is_passed_on(gemini):
    async with ScriptedUpstream(EMPTY) as scripted:
        text, outcome = await ask(await gemini(scripted.url))
        assert (text, outcome.attempts) == ("", 2)


async def test_a_silent_attempt_is_overtaken_by_a_hedge(gemini):
    async with ScriptedUpstream([STALL], GOOD) as scripted:
        upstream = await gemini(scripted.url, keys=("key-1", "key-2"), hedge_after_s=0.05)
        text, outcome = await ask(upstream)
        assert (text, outcome.attempts) == ("good end", 2)
        await asyncio.wait_for(scripted.seen[0].gone.wait(), 4)
        assert [one.leases for one in upstream.pool.credentials] == [0, 0]


async def test_an_answer_that_a_hedge_did_not_overtake_is_of_its_own_key(gemini):
    late = [0.2, *GOOD]
    async with ScriptedUpstream(late, [STALL]) as scripted:
        upstream = await gemini(scripted.url, keys=("key-1", "key-2"), hedge_after_s=0.05)
        text, outcome = await ask(upstream)
        first, second = (seen.key for seen in scripted.seen)
        assert (text, outcome.attempts, first != second) == ("good end", 2, True)
    names = {f"key-{number}": f"c{number}" for number in (1, 2)}
    assert outcome.credential == names[first]


async def test_an_answer_that_came_too_late_is_paid_for(gemini):
    async with ScriptedUpstream(answer(200, LAST)) as scripted:
        upstream, outcome = await gemini(scripted.url), Outcome()
        attempts = Attempts(upstream, UpstreamCall("m", {}, stream=False), outcome, Notes())
        attempts._discard(await attempts.begin())
    [(model, usage)] = outcome.wasted
    assert (model, usage.total, upstream.pool.credentials[0].leases) == ("m", 5, 0)


async def test_a_hedge_is_one_of_the_attempts(gemini):
    async with ScriptedUpstream([0.1, *BUSY]) as scripted:
        upstream = await gemini(scripted.url, keys=tuple("abcdef"), hedge_after_s=0.02)
        with pytest.raises(UpstreamOverloaded):
            await ask(upstream)
        assert len(scripted.seen) == 3


async def test_an_open_breaker_asks_nobody(gemini):
    async with ScriptedUpstream(BUSY) as scripted:
        upstream = await gemini(scripted.url, max_attempts=1)
        for _ in range(8):
            with pytest.raises(UpstreamOverloaded) as caught:
                await ask(upstream)
        assert len(scripted.seen) == 5
        assert 0 < caught.value.retry_after <= 5


async def test_an_open_breaker_is_not_waited_for(gemini):
    upstream = await gemini("http://127.0.0.1:9")
    open_circuit(upstream, "old")
    with pytest.raises(UpstreamOverloaded):
        await ask(upstream)
    assert not sum(upstream.budget._retries)


async def test_an_overloaded_model_is_asked_again_when_it_says(gemini):
    async with ScriptedUpstream(busy_for("0.4s"), GOOD) as scripted:
        upstream = await gemini(scripted.url)
        began = asyncio.get_running_loop().time()
        assert (await ask(upstream))[0] == "good end"
        assert asyncio.get_running_loop().time() - began > 0.4


async def test_a_pause_that_does_not_fit_the_deadline_is_not_begun(gemini):
    async with ScriptedUpstream(busy_for("9s"), GOOD) as scripted:
        upstream = await gemini(scripted.url, deadline_s=5)
        with pytest.raises(UpstreamOverloaded) as caught:
            await asyncio.wait_for(ask(upstream), 4)
        assert (caught.value.retry_after, len(scripted.seen)) == (9, 1)


@pytest.mark.parametrize(
    ("script", "opens"),
    [
        (refusal(503, "UNAVAILABLE"), "model"),
        (refusal(500, "INTERNAL"), "model"),
        (answer(200, b"<html></html>", "text/html"), "model"),
        ([STALL], "model"),
        ([RESET], "host"),
        # One prompt that is too large, tried five times, must not close the model for the others.
        (refusal(504, "DEADLINE_EXCEEDED"), None),
        (refusal(400, "INVALID_ARGUMENT"), None),
        (refusal(403, "PERMISSION_DENIED"), None),
        (refusal(404, "NOT_FOUND"), None),
        ([b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"], None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_only_what_the_model_or_the_host_did_opens_a_breaker(gemini, script, opens):
    other = UpstreamCall("other", {}, stream=True)
    async with ScriptedUpstream(script) as scripted:
        # What is no silence must not be taken for one on a busy machine.
        limit_s = 0.2 if script == [STALL] else 60.0
        upstream = await gemini(scripted.url, max_attempts=1, first_event_timeout_s=limit_s)
        for _ in range(5):
            with pytest.raises(GatewayError):
                await ask(upstream)
        scripted.scripts = [GOOD]
        for call, closed_by in [(CALL, {"model", "host"}), (other, {"host"})]:
            if opens in closed_by:
                with pytest.raises(UpstreamOverloaded):
                    await ask(upstream, call)
            else:
                assert (await ask(upstream, call))[0] == "good end"


async def test_descriptors_that_the_gateway_has_not_open_no_breaker(gemini):
    def no_socket(_address):
        raise OSError(EMFILE, "Too many open files")

    async with ScriptedUpstream(GOOD) as scripted:
        upstream = await gemini(scripted.url, max_attempts=1)
        connector = upstream._session.connector
        usual, connector._socket_factory = connector._socket_factory, no_socket
        for _ in range(6):
            with pytest.raises(Unavailable):
                await ask(upstream)
        connector._socket_factory = usual
        assert (await ask(upstream))[0] == "good end"


async def test_a_network_that_is_down_opens_the_breaker_of_the_host(gemini):
    upstream = await gemini("http://127.0.0.1:9", max_attempts=1)
    codes = []
    for number in range(7):
        with pytest.raises(UpstreamError) as caught:
            await ask(upstream, UpstreamCall(f"m{number}", {}, stream=True))
        codes.append(caught.value.code)
    assert codes == ["upstream_error"] * 5 + ["overloaded"] * 2


@pytest.mark.parametrize("name", ["old", HOST])
async def test_a_probe_for_which_no_key_is_left_is_made_by_the_next_one(gemini, monkeypatch, name):
    monkeypatch.setattr(breaker, "OPEN_S", (0.01, 0.01))
    async with ScriptedUpstream(GOOD) as scripted:
        upstream = await gemini(scripted.url)
        (only,) = upstream.pool.credentials
        open_circuit(upstream, name)
        upstream.pool.report(only, "old", Fault(Kind.BUSY, RateLimited("no"), 0.2))
        await asyncio.sleep(0.02)
        with pytest.raises(RateLimited):
            await ask(upstream)
        await asyncio.sleep(0.4)
        assert (await ask(upstream))[0] == "good end"


async def test_a_probe_of_the_model_waits_for_that_of_the_host(gemini, monkeypatch):
    async with ScriptedUpstream(GOOD) as scripted:
        upstream = await gemini(scripted.url)
        for name, seconds in (("old", 0.01), (HOST, 0.4)):
            monkeypatch.setattr(breaker, "OPEN_S", (seconds, seconds))
            open_circuit(upstream, name)
        await asyncio.sleep(0.02)
        with pytest.raises(UpstreamOverloaded):
            await ask(upstream)
        await asyncio.sleep(0.4)
        assert (await ask(upstream))[0] == "good end"


async def test_a_client_that_leaves_while_waiting_gives_everything_back(gemini):
    async with ScriptedUpstream([SSE, STALL, chunk(data(LAST)), END]) as scripted:
        upstream = await gemini(scripted.url)
        task = asyncio.create_task(ask(upstream))
        while not scripted.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(scripted.seen[0].gone.wait(), 4)
        assert upstream.pool.credentials[0].leases == 0


# What a model may refuse of one and the same request, in Google's words, one after another.
REFUSED = (
    "Penalty is not enabled for this model",
    "JSON mode is not enabled for models/old",
    "Developer instruction is not enabled for models/old",
    "Google Maps tool is not enabled for models/old",
)


async def test_several_refusals_of_one_request_are_mended_one_after_another(gemini):
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"presencePenalty": 1, "responseMimeType": "application/json"},
        "tools": [{"googleMaps": {}}],
    }
    refusals = [refusal(400, "INVALID_ARGUMENT", message) for message in REFUSED]
    async with ScriptedUpstream(*refusals, GOOD) as scripted:
        upstream = await gemini(scripted.url)
        text, outcome = await ask(upstream, UpstreamCall("old", body, stream=True))
        assert (text, outcome.attempts) == ("good end", 5)
        [instruction, asked] = scripted.seen[-1].body["contents"][0]["parts"]
        assert "JSON" in instruction["text"]
        assert asked == {"text": "Hi"}
        assert scripted.seen[-1].body.keys() == {"contents"}


async def test_a_mended_call_that_fails_otherwise_still_shows_what_the_model_refuses(gemini):
    body = {"contents": [], "generationConfig": {"presencePenalty": 1}}
    said = refusal(400, "INVALID_ARGUMENT", REFUSED[0])
    async with ScriptedUpstream(said, refusal(400, "INVALID_ARGUMENT", "else")) as scripted:
        upstream = await gemini(scripted.url)
        with pytest.raises(BadRequest):
            await ask(upstream, replace(CALL, body=body))
        assert [model for model, _ in upstream.refusals.learned] == ["old"]


@pytest.mark.parametrize("penalty", [{}, {"presencePenalty": 1}])
async def test_a_refusal_that_nothing_mends_is_told_at_once(gemini, penalty):
    said = refusal(400, "INVALID_ARGUMENT", REFUSED[0])
    body = {"contents": [], "generationConfig": penalty}
    async with ScriptedUpstream(said) as scripted:
        with pytest.raises(BadRequest):
            await ask(await gemini(scripted.url), replace(CALL, body=body, verbatim=bool(penalty)))
        assert len(scripted.seen) == 1


async def test_strict_mode_allows_no_mending(gemini):
    notes = Notes()
    notes.is_strict = True
    body = {"contents": [], "generationConfig": {"presencePenalty": 1}}
    async with ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", REFUSED[0]), GOOD) as scripted:
        upstream = await gemini(scripted.url)
        with pytest.raises(BadRequest) as caught:
            async with upstream.open(UpstreamCall("old", body, stream=True), Outcome(), notes):
                pass
        assert (caught.value.code, caught.value.param) == ("strict_mode", "presence_penalty")
        assert len(scripted.seen) == 1
        assert upstream.pool.credentials[0].leases == 0
