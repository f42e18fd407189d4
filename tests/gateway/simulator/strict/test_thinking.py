import pytest

from tests.gateway.simulator.strict.asking import configured


@pytest.mark.parametrize(
    ("model", "config", "said"),
    [
        ("gemini-2.5-pro", {"thinkingBudget": 0}, "Budget 0 is invalid"),
        ("gemini-2.5-pro", {"thinkingBudget": 127}, "between 128 and 32768"),
        ("gemini-2.5-flash", {"thinkingBudget": 24_577}, "between 0 and 24576"),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 1}, "between 512 and 24576"),
        ("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "Thinking level is not supported"),
        ("gemini-2.5-flash", {"thinkingLevel": "LOW", "thinkingBudget": 1}, "only one of"),
        ("gemini-2.5-flash-image", {"includeThoughts": True}, "Thinking is not enabled"),
        ("gemini-3.8-flash-tts", {}, "Thinking is not enabled"),
        (
            "gemini-3.7-flash",
            {"thinkingLevel": "MINIMAL"},
            "Thinking level MINIMAL is not supported",
        ),
        ("gemini-3.1-flash-lite-image", {"thinkingLevel": "LOW"}, "level LOW is not supported"),
        ("gemini-flash-latest", {"thinkingBudget": 0}, "Budget 0 is invalid"),
    ],
)
def test_what_a_model_cannot_think_is_refused(model, config, said):
    assert said in configured(model, thinkingConfig=config)


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("gemini-2.5-pro", {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-flash", {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 0}),
        ("gemini-3-flash-preview", {"thinkingLevel": "minimal"}),
        ("gemini-3.5-flash", {"thinkingBudget": 1024}),
        ("gemini-4-argon", {"thinkingLevel": "HIGH"}),
    ],
)
def test_what_a_model_can_think_is_accepted(model, config):
    assert configured(model, thinkingConfig=config) is None
