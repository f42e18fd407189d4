"""Refusals that are mended: once with a second attempt, and from then on at once."""

import pytest

from gateway.features import BYPASS
from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal, stream
from tests.running import LICENSE, settings_for

NEW = "gemini-3.5-flash"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
BUDGET = "The thinking budget {} is invalid. Please choose a value between 128 and 8000."
# name: Google's message, what the client asks for, what is told
REFUSALS = {
    "penalty": (
        "Penalty is not enabled for this model",
        {"presence_penalty": 1},
        "presence_penalty=dropped",
    ),
    "tokens": (
        "max_output_tokens 9000 is out of range: from 1 (inclusive) to 8193 (exclusive)",
        {"max_tokens": 9000},
        "max_tokens=8192",
    ),
    "seed": ("seed is not supported for this model", {"seed": 1}, "seed=dropped"),
    "unsuited json": (
        "JSON mode is not enabled for this model",
        {"response_format": {"type": "json_object"}},
        "response_format=emulated",
    ),
    "json and tools": (
        "Function calling with a response mime type: 'application/json' is unsupported",
        {"model": NEW, "response_format": {"type": "json_object"}, "tools": [WEATHER]},
        "response_format=emulated",
    ),
    "thinking level": (
        "Thinking level MINIMAL is not supported for this model.",
        {"model": NEW, "reasoning_effort": "minimal"},
        "thinking=LOW",
    ),
    "no thinking level": (
        "Thinking level is not supported for this model.",
        {"model": NEW, "reasoning_effort": "high"},
        "thinking=automatic",
    ),
    "large budget": (
        BUDGET.format(9000),
        {"thinking": {"type": "enabled", "budget_tokens": 9000}},
        "thinking=8000",
    ),
    "small budget": (
        BUDGET.format(9),
        {"thinking": {"type": "enabled", "budget_tokens": 9}},
        "thinking=128",
    ),
    "automatic budget": (BUDGET.format(-1), {"thinking": {"type": "enabled"}}, "thinking=8000"),
}
SIGNATURE = "Thought signature is not valid"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", REFUSALS)
async def test_the_first_request_heals_and_the_next_is_right_at_once(running, name, streaming):
    message, asked, told = REFUSALS[name]
    good = stream(LAST) if streaming else answer(200, LAST)
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", message), good) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for calls in (2, 3):
            async with gateway.post(stream=streaming, **asked) as response:
                assert response.status == 200
                assert told in response.headers["x-gateway-adjusted"]
                await response.read()
            assert len(upstream.seen) == calls
        assert upstream.seen[1].body == upstream.seen[2].body


@pytest.mark.parametrize("streaming", [False, True])
async def test_refused_candidates_come_from_as_many_calls_and_nothing_is_lost(running, streaming):
    message = "Multiple candidates is not enabled for this model"
    good = stream(LAST) if streaming else answer(200, LAST)
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", message), good) as upstream,
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
    ("then", "status"),
    [(answer(200, LAST), 200), (refusal(400, "INVALID_ARGUMENT", SIGNATURE), 400)],
)
async def test_an_invalid_signature_is_replaced_once_by_the_bypass(running, then, status):
    """Reported in 9router#301, earendil-works/pi#471."""
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "AAAA"}},
    }
    asked = {
        "model": NEW,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "dry"},
        ],
        "tools": [WEATHER],
    }
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", SIGNATURE), then) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        got, _, headers = await gateway.whole(**asked)
        assert got == status
        assert "thought_signature=bypass" in headers["x-gateway-adjusted"]
        sent = [one.body["contents"][1]["parts"][0]["thoughtSignature"] for one in upstream.seen]
        assert sent == ["AAAA", BYPASS]


@pytest.mark.parametrize("name", REFUSALS)
async def test_strict_mode_tells_of_the_refused_field_and_sends_nothing_changed(running, name):
    message, asked, told = REFUSALS[name]
    payload = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", message), answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        # The second is refused for what the first one taught.
        for _ in range(2):
            async with gateway.session.post(
                f"{gateway.url}/v1/chat/completions",
                json=payload | asked,
                headers={"Authorization": LICENSE, "x-gateway-strict": "true"},
            ) as response:
                assert response.status == 400
                error = (await response.json())["error"]
            assert (error["code"], error["param"]) == ("strict_mode", told.partition("=")[0])
            assert len(upstream.seen) == 1
