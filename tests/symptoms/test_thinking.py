"""Thinking: as little as the model takes, told apart from the answer, and counted."""

import pytest

from tests.faults.scripted import refusal
from tests.symptoms.reply import ask, says

MODEL = "gemini-2.5-flash"
# How clients say that they want none.
NO_THINKING = {
    "reasoning_effort": {"reasoning_effort": "none"},
    "reasoning": {"reasoning": {"enabled": False}},
    "reasoning.effort": {"reasoning": {"effort": "none"}},
    "thinking": {"thinking": {"type": "disabled"}},
    "google.thinking_config": {"google": {"thinking_config": {"thinking_budget": 0}}},
    "model": {},
}
# By model: the least thinking that it takes.
LEAST = {
    MODEL: {"thinkingBudget": 0},
    "gemini-2.5-pro": {"thinkingBudget": 128},
    "gemini-3.5-flash": {"thinkingLevel": "MINIMAL"},
    "gemini-3.1-pro-preview": {"thinkingLevel": "LOW"},
    # This name moved from models that take 0 to one that does not.
    "gemini-flash-latest": {"thinkingLevel": "LOW"},
    "gemini-4-argon": {"thinkingLevel": "LOW"},
}


@pytest.mark.parametrize("model", LEAST)
@pytest.mark.parametrize("field", NO_THINKING)
async def test_no_thinking_becomes_the_least_that_the_model_takes(
    gateway, simulator, streaming, model, field
):
    """It is asked for in a way that the model takes at the first try, and told what came of it.

    Reported in gemini-balance#206.
    """
    name = f"{model}-nothinking" if field == "model" else model
    reply = await ask(gateway, streaming=streaming, model=name, **NO_THINKING[field])
    assert reply.status == 200, reply.error
    assert reply.text
    assert "reasoning_content" not in reply.message
    [received] = simulator.received
    config = received.body["generationConfig"]["thinkingConfig"]
    assert config.pop("includeThoughts", False) is False
    assert config == LEAST[model]
    [least] = LEAST[model].values()
    changed = f"{field}={str(least).lower()};reason=model" if least else None
    assert reply.headers.get("x-gateway-adjusted") == changed


async def test_a_name_that_moves_to_a_model_which_must_think_is_asked_to_think(scripted, streaming):
    """The first request finds it out, and the second is right at once.

    Reported in gemini-balance#206.
    """
    message = "Budget 0 is invalid. This model only works in thinking mode."
    refused = tuple(refusal(400, "INVALID_ARGUMENT", message))
    async with scripted(refused, [says({"text": "Hi"}, finish="STOP")]) as (gateway, upstream):
        for _ in range(2):
            reply = await ask(gateway, streaming=streaming, model=MODEL, reasoning_effort="none")
            assert (reply.status, reply.text) == (200, "Hi")
            assert reply.headers["x-gateway-adjusted"] == "thinking=512;reason=model"
    sent = [one.body["generationConfig"]["thinkingConfig"] for one in upstream.seen]
    assert [one["thinkingBudget"] for one in sent] == [0, 512, 512]


def thought(text: str) -> dict:
    return {"text": text, "thought": True}


MIXED = [
    says(thought("**Plan**\n\nFirst, "), thought("look.\n")),
    says(thought("\n- then say\n"), {"text": "# It\n"}, {"text": "\n  is"}),
    says({"text": " so.\n"}, thought("\nAnother look"), {"text": "\nAnd "}),
    says({"text": "so.\n\n"}, finish="STOP"),
]
THOUGHTS = "**Plan**\n\nFirst, look.\n\n- then say\n\nAnother look"
TEXT = "# It\n\n  is so.\n\nAnd so.\n\n"
ASKS_FOR_THOUGHTS = {
    "by the name": {"model": f"{MODEL}-thinking"},
    "by the effort": {"reasoning_effort": "high"},
    "by the budget": {"thinking": {"type": "enabled", "budget_tokens": 900}},
    "natively": {"google": {"thinking_config": {"include_thoughts": True}}},
}


@pytest.mark.parametrize("how", ASKS_FOR_THOUGHTS)
async def test_thoughts_are_told_apart_from_the_text_of_the_same_event(scripted, streaming, how):
    """Both are whole, with every newline, and a stream has them in the order they came in.

    Reported in new-api#642, Antigravity-Manager#3392.
    """
    async with scripted(MIXED) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, **ASKS_FOR_THOUGHTS[how])
    assert (reply.status, reply.finish_reason) == (200, "stop")
    assert reply.message["reasoning_content"] == THOUGHTS
    assert reply.text == TEXT
    [seen] = upstream.seen
    assert seen.body["generationConfig"]["thinkingConfig"]["includeThoughts"] is True
    if streaming:
        parts = [part for event in MIXED for part in event["candidates"][0]["content"]["parts"]]
        came = [("reasoning_content" if "thought" in p else "content", p["text"]) for p in parts]
        deltas = [delta for one in reply.chunks for c in one["choices"] if (delta := c["delta"])]
        assert deltas[0] == {"role": "assistant", "content": ""}
        # No delta has both.
        assert [item for delta in deltas[1:] for item in delta.items()] == came
        assert all(len(delta) == 1 for delta in deltas[1:])


async def test_thoughts_that_nobody_asked_for_are_no_part_of_the_text(scripted, streaming):
    """Reported in new-api#642, Antigravity-Manager#3392."""
    async with scripted(MIXED) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert reply.text == TEXT
    assert "reasoning_content" not in reply.message


COUNTED = {
    "promptTokenCount": 30,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 100,
    "totalTokenCount": 150,
}
# USD for a million tokens.
PRICES = {"prices": {MODEL: {"input": 1.0, "output": 10.0}}}


@pytest.mark.parametrize("shown", [True, False], ids=["thoughts shown", "thoughts hidden"])
async def test_thoughts_are_counted_and_paid_as_answer(scripted, ledger, streaming, shown):
    """They are among the tokens of the answer, told beside them, and booked like that.

    Reported in new-api#1014, new-api#1249, litellm#10554, litellm#31717.
    """
    last = {**says({"text": "Hi"}, finish="STOP"), "usageMetadata": COUNTED}
    fields = {"reasoning_effort": "low"} if shown else {}
    settings = {"models": PRICES, **ledger.settings}
    async with scripted([says(thought("Hm")), last], **settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, **fields)
    counts = [reply.usage[f"{name}_tokens"] for name in ("prompt", "completion", "total")]
    assert counts == [30, 120, 150]
    assert reply.usage["completion_tokens_details"]["reasoning_tokens"] == 100
    assert reply.usage["cost"] == pytest.approx((30 + 10 * 120) / 1_000_000)
    [row] = ledger.rows()
    assert [row[name] for name in ("prompt", "completion", "thoughts")] == [30, 120, 100]
    assert row["cost_nanos"] == (30 + 10 * 120) * 1_000
