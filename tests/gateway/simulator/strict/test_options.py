import pytest

from gateway.simulator.models import MODELS
from gateway.simulator.strict import options
from tests.gateway.simulator.strict.asking import configured, refusal

FLASH, PRO, LITE, NEWEST = (
    "gemini-2.5-flash",
    "gemini-2.5-pro",
    "gemini-3.5-flash-lite",
    "gemini-3.8-flash",
)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"temperature": 2.1}, "temperature must be in the range"),
        ({"topP": -1}, "top_p must be in the range"),
        ({"candidateCount": 9}, "candidate_count must be in the range"),
        ({"maxOutputTokens": 0}, "max_output_tokens must be in the range"),
        ({"logprobs": 21, "responseLogprobs": True}, "logprobs must be in the range"),
        ({"logprobs": 2}, "response_logprobs"),
        ({"stopSequences": list("abcdef")}, "stop_sequences must not be greater than 5"),
        ({"stopSequences": [""]}, "must not contain an empty string"),
        ({"presencePenalty": 1}, "Penalty is not enabled"),
        ({"frequencyPenalty": 0.5}, "Penalty is not enabled"),
    ],
)
def test_what_is_out_of_range_or_not_enabled_is_refused(config, said):
    assert said in configured(FLASH, **config)


def test_what_one_model_refuses_another_takes():
    assert configured(PRO, presencePenalty=1) is None
    assert configured(FLASH, candidateCount=2) is None
    assert (
        configured(NEWEST, candidateCount=2) == "Multiple candidates is not enabled for this model"
    )
    assert configured(FLASH, temperature=1, topP=1, topK=40) is None
    for name, value in {"temperature": 0, "topP": 1, "topK": 1}.items():
        assert "is not enabled for this model" in configured(LITE, **{name: value})
    # Gemini CLI sends them to all models.
    assert configured(LITE, temperature=1, topP=0.95, topK=64) is None


def test_all_ordinary_options_are_accepted_together():
    config = {
        "temperature": 0, "topP": 0.9, "topK": 1, "candidateCount": 8, "maxOutputTokens": 1,
        "stopSequences": ["a"], "seed": 0, "responseLogprobs": True, "logprobs": 20,
    }  # fmt: skip
    assert configured(FLASH, **config) is None
    options.check({"generationConfig": config}, MODELS[FLASH])


def test_one_harm_category_comes_once():
    off = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}
    assert refusal({"safetySettings": [off]}) is None
    assert "duplicate category" in refusal({"safetySettings": [off, off]})


@pytest.mark.parametrize(
    "extra",
    [
        {"systemInstruction": {"parts": [{"text": "a"}]}},
        {"tools": [{"codeExecution": {}}]},
        {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
    ],
)
def test_what_lives_in_a_cache_is_not_sent_beside_it(extra):
    assert "CachedContent can not be used" in refusal(
        {"cachedContent": "cachedContents/a", **extra}
    )
    assert refusal({"cachedContent": "cachedContents/a"}) is None
