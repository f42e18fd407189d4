"""Thinking, asked for in any of its forms."""

import pytest

from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask, body

PRO, FLASH, LITE = "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"
THREE, PRO3, NEWEST = "gemini-3-flash-preview", "gemini-3-pro-preview", "gemini-3.7-flash"


def thinking(**fields):
    call, notes = ask(**fields)
    return (call.body.get("generationConfig") or {}).get("thinkingConfig"), notes.adjusted


def budget(tokens, shown=True):
    return {"includeThoughts": shown, "thinkingBudget": tokens}


def level(word, shown=True):
    return {"includeThoughts": shown, "thinkingLevel": word}


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (FLASH, {}, None),
        (FLASH, {"reasoning_effort": "none"}, budget(0, shown=False)),
        (FLASH, {"reasoning_effort": "minimal"}, budget(1024)),
        (FLASH, {"reasoning_effort": "low"}, budget(1024)),
        (FLASH, {"reasoning_effort": "medium"}, budget(8192)),
        (FLASH, {"reasoning_effort": "high"}, budget(24576)),
        (FLASH, {"reasoning_effort": "xhigh"}, budget(24576)),
        (PRO, {"reasoning_effort": "max"}, budget(32768)),
        (THREE, {"reasoning_effort": "minimal"}, level("MINIMAL")),
        (THREE, {"reasoning_effort": "medium"}, level("MEDIUM")),
        (THREE, {"reasoning_effort": "xhigh"}, level("HIGH")),
        (FLASH, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, budget(2000)),
        (FLASH, {"thinking": {"type": "adaptive"}}, budget(-1)),
        (FLASH, {"thinking": {"type": "disabled"}}, budget(0, shown=False)),
        (THREE, {"thinking": {"type": "enabled", "budget_tokens": 300}}, level("MINIMAL")),
        (THREE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, level("LOW")),
        (THREE, {"thinking": {"type": "enabled", "budget_tokens": 5000}}, level("MEDIUM")),
        (THREE, {"thinking": {"type": "enabled", "budget_tokens": 9999}}, level("HIGH")),
        (THREE, {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}),
        (FLASH, {"reasoning": {"effort": "low"}}, budget(1024)),
        (FLASH, {"reasoning": {"effort": "low", "exclude": True}}, budget(1024, shown=False)),
        (FLASH, {"reasoning": {"max_tokens": 700}}, budget(700)),
        (FLASH, {"reasoning": {"enabled": True}}, {"includeThoughts": True}),
        (FLASH, {"reasoning": {"enabled": False}}, budget(0, shown=False)),
        (
            FLASH,
            {"google": {"thinking_config": {"include_thoughts": True}}},
            {"includeThoughts": True},
        ),
        (
            FLASH,
            {"extra_body": {"google": {"thinkingConfig": {"thinkingBudget": 9}}}},
            {"thinkingBudget": 9},
        ),
        (
            THREE,
            {"google": {"thinking_config": {"thinking_level": "low"}}},
            {"thinkingLevel": "LOW"},
        ),
        (
            THREE,
            {"google": {"thinking_config": {"thinking_level": "THINKING_LEVEL_UNSPECIFIED"}}},
            None,
        ),
        (
            THREE,
            {"google": {"thinking_config": {"thinking_level": "xhigh"}}},
            {"thinkingLevel": "HIGH"},
        ),
        (FLASH + "-thinking", {}, budget(-1)),
        (FLASH + "-thinking-500", {}, budget(500)),
        (FLASH + "-nothinking", {}, {"thinkingBudget": 0}),
        (THREE + "-thinking", {}, level("HIGH")),
        (FLASH + "-low", {}, {"thinkingBudget": 1024}),
        (THREE + "-high", {}, {"thinkingLevel": "HIGH"}),
        (FLASH + "-thinking", {"reasoning_effort": "low"}, budget(1024)),
    ],
)
def test_every_way_of_asking(model, fields, expected):
    assert thinking(model=model, **fields) == (expected, {})


@pytest.mark.parametrize(
    ("model", "fields", "expected", "note"),
    [
        (PRO, {"reasoning_effort": "none"}, budget(128, shown=False), "reasoning_effort"),
        (PRO + "-nothinking", {}, {"thinkingBudget": 128}, "model"),
        (
            FLASH,
            {"thinking": {"type": "enabled", "budget_tokens": 99999}},
            budget(24576),
            "thinking",
        ),
        (LITE, {"thinking": {"type": "enabled", "budget_tokens": 5}}, budget(512), "thinking"),
        (PRO3, {"reasoning_effort": "medium"}, level("HIGH"), "reasoning_effort"),
        (NEWEST, {"reasoning_effort": "minimal"}, level("LOW"), "reasoning_effort"),
        (NEWEST, {"reasoning_effort": "none"}, level("LOW", shown=False), "reasoning_effort"),
        (
            "gemini-3.1-flash-lite-image",
            {"reasoning_effort": "low"},
            level("MINIMAL"),
            "reasoning_effort",
        ),
        ("gemini-2.0-flash", {"reasoning_effort": "low"}, None, "reasoning_effort"),
        ("gemini-2.0-flash-thinking", {}, None, "model"),
    ],
)
def test_what_the_model_cannot_do_is_clamped_and_noted(model, fields, expected, note):
    """Budget 0 is invalid and an unknown MINIMAL are not the client's problem."""
    config, adjusted = thinking(model=model, **fields)
    assert config == expected
    assert list(adjusted) == [note]


def test_a_model_that_cannot_think_is_not_told_to_stop_it():
    assert thinking(model="gemini-2.0-flash", reasoning_effort="none") == (None, {})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        (
            {"google": {"thinking_config": {"thinking_level": "huge"}}},
            "google.thinking_config.thinking_level",
        ),
        (
            {"google": {"thinking_config": {"thinking_budget": "1"}}},
            "google.thinking_config.thinking_budget",
        ),
    ],
)
def test_what_nobody_can_do_is_refused(fields, param):
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    assert caught.value.param == param


def test_of_a_level_and_a_budget_the_level_counts_which_is_noted():
    google = {"thinking_config": {"thinking_level": "low", "thinking_budget": 10}}
    call, notes = ask(model="gemini-3.5-flash", google=google)
    assert call.body["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "LOW"}
    assert list(notes.dropped) == ["google.thinking_config.thinking_budget"]


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 0}},
        {"model": "gemini-2.5-flash-thinking-0"},
        {
            "reasoning_effort": "none",
            "google": {"thinking_config": {"include_thoughts": True}},
        },
    ],
)
def test_thoughts_are_not_asked_for_where_there_are_none(fields):
    """Refused: "include_thoughts is only enabled when thinking is enabled"."""
    config = body(**fields)["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": False, "thinkingBudget": 0}


def test_of_an_effort_and_a_number_of_tokens_the_number_counts_which_is_noted():
    call, notes = ask(reasoning={"effort": "low", "max_tokens": 900})
    assert call.body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 900
    assert list(notes.dropped) == ["reasoning.effort"]
