"""Refusals that are mended: once with a second attempt, and from then on at once."""

import copy
import time
from types import SimpleNamespace

import pytest

from gateway import healing
from gateway.features import BYPASS
from tests.faults.refusals import NEW, REFUSALS, WEATHER
from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal, stream
from tests.running import LICENSE, settings_for

pytestmark = pytest.mark.usefixtures("impatient")
BODY = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
HISTORY = {
    "model": NEW,
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "dry"},
    ],
    "tools": [WEATHER],
}
# Those that change nothing the client would notice.
ELSEWHERE = [
    "Unknown name \"id\" at 'contents[1].parts[0].function_call': Cannot find field.",
    "Multiple candidates is not enabled for this model",
    "candidate_count must be 1 for this model",
    "Task type is not supported for models/gemini-embedding-2",
]


def refused(message: str) -> list:
    return refusal(400, "INVALID_ARGUMENT", message)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", REFUSALS)
async def test_the_first_request_heals_and_the_next_is_right_at_once(running, name, streaming):
    one = REFUSALS[name]
    good = stream(LAST) if streaming else answer(200, LAST)
    async with (
        ScriptedUpstream(refused(one.message), good) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for calls in (2, 3):
            async with gateway.post(stream=streaming, **one.asked) as response:
                assert response.status == 200
                told = response.headers[one.header].split(", ")
                assert one.told in [field.partition(";")[0] for field in told]
                assert "end" in await response.text()
            assert len(upstream.seen) == calls
        first, *others = [str(seen.body) for seen in upstream.seen]
        assert one.gone in first
        assert not any(one.gone in body for body in others)
        assert upstream.seen[1].body == upstream.seen[2].body


def test_every_message_that_is_known_has_an_example_here():
    told = [*(one.message for one in REFUSALS.values()), *ELSEWHERE]
    patterns = [pattern for pattern, *_ in (*healing.MESSAGES, *healing.RANGES)]
    assert [one.pattern for one in patterns if not any(map(one.search, told))] == []


async def test_what_a_model_refuses_is_asked_again_a_day_later(running, monkeypatch):
    one, later = REFUSALS["seed"], [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later[0])
    # The loop's own clock goes on as it does.
    monkeypatch.setattr("gateway.sharing.time", clock)
    good = answer(200, LAST)
    async with (
        ScriptedUpstream(refused(one.message), good) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        sent = []
        for later[0] in (0, healing.REMEMBER_S - 60, healing.REMEMBER_S + 60):
            status, _, headers = await gateway.whole(**one.asked)
            assert status == 200
            sent.append((len(upstream.seen), "x-gateway-adjusted" in headers))
        assert sent == [(2, True), (3, True), (4, False)]
        assert upstream.seen[3].body["generationConfig"] == one.asked


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "message",
    [
        "Request contains an invalid argument.",
        "Invalid JSON payload received. Unknown name \"colour\" at 'generation_config': Cannot find.",
        "The model could not make sense of this.",
        # Known, but not of what was asked for.
        "Multiple candidates is not enabled for this model",
    ],
)
async def test_a_refusal_that_nobody_knows_is_told_as_it_is(running, message, streaming):
    async with (
        ScriptedUpstream(refused(message)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        async with gateway.post(stream=streaming, seed=0) as response:
            assert response.status == 400
            assert message in (await response.json())["error"]["message"]
            assert "x-gateway-adjusted" not in response.headers
        assert len(upstream.seen) == 1


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_that_healing_does_not_end_is_told_and_not_learned(running, name):
    one = REFUSALS[name]
    async with (
        ScriptedUpstream(refused(one.message)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for _ in range(2):
            status, body, _ = await gateway.whole(**one.asked)
            assert status == 400
            assert one.message in body["error"]["message"]
        sent = [seen.body for seen in upstream.seen]
        assert (len(sent), sent[2:]) == (4, sent[:2])


async def test_several_refusals_heal_one_after_another(running):
    names = ["penalty", "temperature", "seed", "tokens"]
    asked = {name: value for one in names for name, value in REFUSALS[one].asked.items()}
    scripts = [refused(REFUSALS[one].message) for one in names]
    async with (
        ScriptedUpstream(*scripts, answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        status, _, headers = await gateway.whole(**asked)
        assert status == 200
        assert all(REFUSALS[one].told in headers["x-gateway-adjusted"] for one in names)
        assert upstream.seen[-1].body["generationConfig"] == {"maxOutputTokens": 8192}


async def test_what_one_model_refuses_another_is_still_asked(running):
    one, good = REFUSALS["seed"], answer(200, LAST)
    async with (
        ScriptedUpstream(refused(one.message), good) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        await gateway.whole(**one.asked)
        _, _, headers = await gateway.whole(model=NEW, **one.asked)
        assert "x-gateway-adjusted" not in headers
        assert upstream.seen[-1].body["generationConfig"] == one.asked


async def test_ids_of_calls_go_where_they_are_unknown(running):
    async with (
        ScriptedUpstream(refused(ELSEWHERE[0]), answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for calls in (2, 3):
            assert (await gateway.whole(**HISTORY))[0] == 200
            assert len(upstream.seen) == calls
        first, *others = [str(seen.body["contents"]) for seen in upstream.seen]
        assert "'id': 'call_1'" in first
        assert not any("'id'" in contents for contents in others)


@pytest.mark.parametrize("message", ELSEWHERE[1:3])
@pytest.mark.parametrize("streaming", [False, True])
async def test_refused_candidates_come_from_as_many_calls(running, streaming, message):
    """Nothing is lost, so that nothing is told."""
    good = stream(LAST) if streaming else answer(200, LAST)
    async with (
        ScriptedUpstream(refused(message), good) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for calls in (3, 5):
            async with gateway.post(stream=streaming, n=2) as response:
                assert response.status == 200
                assert "x-gateway-adjusted" not in response.headers
                text = await response.text()
            assert '"index":1' in text.replace(" ", "")
            assert len(upstream.seen) == calls
        assert upstream.seen[0].body["generationConfig"]["candidateCount"] == 2
        assert all("generationConfig" not in one.body for one in upstream.seen[1:])


@pytest.mark.parametrize(
    "message", ["Thought signature is not valid", "Corrupted thought signature."]
)
@pytest.mark.parametrize("status", [200, 400])
async def test_an_invalid_signature_is_replaced_once_by_the_bypass(running, message, status):
    """Reported in 9router#301, earendil-works/pi#471."""
    then = answer(200, LAST) if status == 200 else refused(message)
    asked = copy.deepcopy(HISTORY)
    call = asked["messages"][1]["tool_calls"][0]
    call["extra_content"] = {"google": {"thought_signature": "AAAA"}}
    async with (
        ScriptedUpstream(refused(message), then) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        got, _, headers = await gateway.whole(**asked)
        assert got == status
        assert "thought_signature=bypass" in headers["x-gateway-adjusted"]
        sent = [one.body["contents"][1]["parts"][0]["thoughtSignature"] for one in upstream.seen]
        assert sent == ["AAAA", BYPASS]


@pytest.mark.parametrize("name", REFUSALS)
async def test_strict_mode_tells_of_the_refused_field_and_sends_nothing_changed(running, name):
    one = REFUSALS[name]
    async with (
        ScriptedUpstream(refused(one.message)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        # Nothing was tried without the field, and so nothing is learned.
        for calls in (1, 2):
            async with gateway.session.post(
                f"{gateway.url}/v1/chat/completions",
                json=BODY | one.asked,
                headers={"Authorization": LICENSE, "x-gateway-strict": "true"},
            ) as response:
                assert response.status == 400
                error = (await response.json())["error"]
            assert (error["code"], error["param"]) == ("strict_mode", one.culprit)
            assert len(upstream.seen) == calls
        assert upstream.seen[0].body == upstream.seen[1].body
