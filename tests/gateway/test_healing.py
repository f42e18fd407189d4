"""Refusals mended by their messages."""

import pytest

from gateway.exchange import Notes, UpstreamCall
from gateway.features import BYPASS, without
from gateway.healing import MAX_LEARNED, REMEMBER_S, LearnedRefusals, heal, hint
from tests.gateway.features.mending import CONTENTS, FUNCTIONS, mended

MIXED = "builtins_with_functions"

HISTORY = [
    {"role": "user", "parts": [{"text": "Hi"}]},
    {
        "role": "model",
        "parts": [
            {"functionCall": {"name": "f", "id": "1"}, "thoughtSignature": "bad"},
            {"functionCall": {"name": "g"}},
        ],
    },
    {"role": "user", "parts": [{"functionResponse": {"name": "f", "id": "1"}}]},
]


@pytest.mark.parametrize(
    ("message", "config", "feature", "left"),
    [
        ("Penalty is not enabled for this model", {"presencePenalty": 1}, "penalties", None),
        (
            "Multiple candidates is not enabled for this model",
            {"candidateCount": 2, "seed": 1},
            "candidates",
            {"seed": 1},
        ),
        ("temperature is not supported for this model.", {"temperature": 1}, "sampling", None),
        ("Logprobs is not supported for this model.", {"logprobs": 1}, "logprobs", None),
        (
            "Thinking level MINIMAL is not supported for this model.",
            {"thinkingConfig": {"thinkingLevel": "MINIMAL"}},
            "thinking_minimal",
            {"thinkingConfig": {"thinkingLevel": "LOW"}},
        ),
        (
            "Budget 0 is invalid. This model only works in thinking mode.",
            {"thinkingConfig": {"thinkingBudget": 0}},
            "thinking_off",
            {"thinkingConfig": {"thinkingBudget": 512}},
        ),
        (
            "Thinking level is not supported for this model.",
            {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}},
            "thinking_amount",
            {"thinkingConfig": {"includeThoughts": True}},
        ),
        (
            "Thinking is not enabled for this model",
            {"thinkingConfig": {"includeThoughts": True}},
            "thinking",
            None,
        ),
        (
            "JSON mode is not enabled for this model",
            {"responseMimeType": "application/json"},
            "json",
            None,
        ),
        (
            "image size is not supported",
            {"imageConfig": {"imageSize": "2K", "aspectRatio": "1:1"}},
            "image_size",
            {"imageConfig": {"aspectRatio": "1:1"}},
        ),
        (
            "Media resolution is not supported",
            {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
            "media_resolution",
            None,
        ),
        (
            "max_output_tokens 9 ... range is from 1 (inclusive) to 6 (exclusive)",
            {"maxOutputTokens": 9},
            "max_tokens=0..5",
            {"maxOutputTokens": 5},
        ),
        (
            "The thinking budget 9 is invalid. Please choose a value between 1 and 5.",
            {"thinkingConfig": {"thinkingBudget": 9}},
            "thinking_budget=1..5",
            {"thinkingConfig": {"thinkingBudget": 5}},
        ),
        (
            "The thinking budget -1 is invalid. Please choose a value between 1 and 5.",
            {"thinkingConfig": {"thinkingBudget": -1, "includeThoughts": True}},
            "automatic_thinking=1..5",
            {"thinkingConfig": {"thinkingBudget": 5, "includeThoughts": True}},
        ),
        (
            "The thinking budget 0 is invalid. Please choose a value from 128 to 900.",
            {"thinkingConfig": {"thinkingBudget": 0}},
            "no_thinking=128..900",
            {"thinkingConfig": {"thinkingBudget": 128}},
        ),
        ("frequency_penalty is not supported.", {"frequencyPenalty": 1}, "penalties", None),
        ("candidateCount must be 1.", {"candidateCount": 2}, "candidates", None),
        ("Sampling parameters are not allowed.", {"topP": 0.5}, "sampling", None),
        ("seed is not supported.", {"seed": 1}, "seed", None),
        (
            "top_k 50: from 1 (inclusive) to 41 (exclusive)",
            {"topK": 50},
            "top_k=1..40",
            {"topK": 40},
        ),
        (
            "logprobs 9: from 0 (inclusive) to 6 (exclusive)",
            {"logprobs": 9},
            "top_logprobs=0..5",
            {"logprobs": 5},
        ),
        (
            "'MINIMAL' is not a supported thinking level.",
            {"thinkingConfig": {"thinkingLevel": "MINIMAL"}},
            "thinking_minimal",
            {"thinkingConfig": {"thinkingLevel": "LOW"}},
        ),
        (
            "Unsupported: THINKING_LEVEL_MINIMAL",
            {"thinkingConfig": {"thinkingLevel": "MINIMAL"}},
            "thinking_minimal",
            {"thinkingConfig": {"thinkingLevel": "LOW"}},
        ),
        (
            "'HIGH' is not a supported thinking level.",
            {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}},
            "thinking_amount",
            {"thinkingConfig": {"includeThoughts": True}},
        ),
        (
            "Thinking budget is not supported for this model.",
            {"thinkingConfig": {"thinkingBudget": 9, "includeThoughts": True}},
            "thinking_amount",
            {"thinkingConfig": {"includeThoughts": True}},
        ),
        (
            "Unknown name \"thinkingConfig\" at 'generation_config': Cannot find field.",
            {"thinkingConfig": {"includeThoughts": True}},
            "thinking",
            None,
        ),
        (
            "Response MIME type application/json is not supported.",
            {"responseMimeType": "application/json"},
            "json",
            None,
        ),
    ],
)
def test_a_setting_that_is_refused_is_dropped_or_clamped(message, config, feature, left):
    healed, notes = mended(message, config)
    assert healed is not None
    assert healed.feature == feature
    assert healed.call.body.get("generationConfig") == left
    assert notes.adjusted or healed.call.copies == 2


SEARCH = {"googleSearch": {}}


@pytest.mark.parametrize(
    ("message", "tools", "feature", "left"),
    [
        ("Google Search is not supported.", [SEARCH, {"urlContext": {}}], "search", 1),
        ("Search as a tool is not enabled.", [SEARCH], "search", 0),
        ("URL context is not supported.", [SEARCH, {"urlContext": {}}], "urls", 1),
        ("Function calling is not supported.", [FUNCTIONS, SEARCH], "functions", 1),
        ("Multiple tools are supported only when …", [FUNCTIONS, SEARCH], MIXED, 1),
        ("Built-in tools and function calling are not …", [FUNCTIONS, SEARCH], MIXED, 1),
        ("Forced function calling with a response MIME type …", [FUNCTIONS], "json_with_tools", 1),
        ("Tool use with a response MIME type …", [SEARCH], "json_with_tools", 1),
    ],
)
def test_tools_that_are_refused_are_left_out_or_lose_what_does_not_go_with_them(
    message, tools, feature, left
):
    form = {"responseMimeType": "application/json"}
    healed, _ = mended(message, form, tools=tools)
    assert healed.feature == feature
    assert len(healed.call.body.get("tools", [])) == left
    assert ("generationConfig" in healed.call.body) == (feature != "json_with_tools")


@pytest.mark.parametrize(
    "message", ["Thought signature is not valid", "Corrupted thought signature."]
)
def test_an_invalid_signature_is_replaced_by_the_bypass(message):
    """9router#301: a signature of another model or key."""
    healed, notes = mended(message, contents=HISTORY)
    assert healed is not None
    assert healed.feature is None
    first, second = healed.call.body["contents"][1]["parts"]
    assert (first["thoughtSignature"], "thoughtSignature" in second) == (BYPASS, False)
    assert notes.adjusted == {"thought_signature": "bypass;reason=invalid"}
    assert HISTORY[1]["parts"][0]["thoughtSignature"] == "bad"


def test_a_missing_signature_is_made_up_for_by_the_bypass():
    message = "Function call is missing a thought_signature in functionCall parts."
    bare = [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]
    healed, _ = mended(message, contents=bare)
    assert healed is not None
    assert healed.call.body["contents"][0]["parts"][0]["thoughtSignature"] == BYPASS
    assert heal(healed.call, message, Notes()) is None


def hinted(slip, *, strict=False, **body):
    notes = Notes()
    notes.is_strict = strict
    told = UpstreamCall("m", {"contents": CONTENTS, **body}, stream=False)
    return hint(told, slip, notes).body.get("systemInstruction"), notes.adjusted


@pytest.mark.parametrize("slip", ["malformed_function_call", "unexpected_tool_call"])
def test_a_slip_is_told_behind_the_instruction(slip):
    told, adjusted = hinted(slip, systemInstruction={"parts": [{"text": "Be kind"}]})
    first, last = told["parts"]
    assert first["text"] == "Be kind"
    assert "function" in last["text"]
    assert adjusted == {"system": f"hinted;reason={slip}"}


@pytest.mark.parametrize(
    "case",
    [
        {"slip": "empty_answer"},
        {"slip": "malformed_function_call", "strict": True},
        {"slip": "malformed_function_call", "cachedContent": "cachedContents/1"},
    ],
    ids=["nothing to tell", "strict mode", "the instruction is in a cache"],
)
def test_a_second_try_may_stay_as_it_is(case):
    assert hinted(**case) == (None, {})


def test_ids_go_where_they_are_unknown():
    message = "Unknown name \"id\" at 'contents[1].parts[0].function_call': Cannot find field."
    healed, _ = mended(message, contents=HISTORY)
    assert healed is not None
    assert healed.feature == "call_ids"
    assert "'id'" not in str(healed.call.body)


@pytest.mark.parametrize(
    "message",
    [
        # Reported in langchain4j/langchain4j#4389.
        "Per part media resolution is not supported for this Model.",
        "Unknown name \"mediaResolution\" at 'contents[0].parts[0]': Cannot find field.",
    ],
)
def test_a_resolution_of_one_part_that_is_refused_is_left_out(message):
    blob = {"mimeType": "image/png", "data": "AAAA"}
    part = {"inlineData": blob, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}
    healed, notes = mended(message, contents=[{"role": "user", "parts": [part]}])
    assert healed.feature == "part_resolution"
    assert healed.call.body["contents"][0]["parts"] == [{"inlineData": blob}]
    assert notes.adjusted == {"detail": "dropped;reason=model"}


@pytest.mark.parametrize(
    "message",
    [
        "Request contains an invalid argument.",
        "Penalty is not enabled for this model",
        "Multiple candidates is not enabled for this model",
        "Thinking level MINIMAL is not supported",
        "Thought signature is not valid",
        "Function calling is not enabled for this model",
        "Search Grounding is not supported.",
        "Tool use with function calling is unsupported",
        "Developer instruction is not enabled",
        "The threshold OFF is not supported",
        "image size is not supported",
        "service tier is not available",
        "JSON mode is not enabled",
        "Function calling with a response mime type is unsupported",
        "Unknown name \"mediaResolution\" at 'contents[0].parts[0]'",
        "max_output_tokens range is from 1 (inclusive) to 6 (exclusive)",
        "The thinking budget 9 is invalid. Please choose a value between 1 and 5.",
    ],
)
def test_a_call_without_the_refused_feature_cannot_be_mended(message):
    healed, notes = mended(message)
    assert healed is None
    assert notes.adjusted == {}


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value at 'tools[0].computer_use.environment' (type.googleapis.com/E), \"{}\"",
        'Invalid JSON payload received. Unknown name "{}": Cannot find field.',
        "Unknown name \"id\" at '{}': Cannot find field.",
        "* GenerateContentRequest.tools[0].parameters.properties[{}].items: missing field.",
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        "temperature is not supported",
        'x" temperature is not supported "',
        "x\" at 'temperature is not supported",
        "max output tokens 0 to 2 (exclusive)",
        'a\n"OFF", temperature is not supported "OFF',
    ],
)
def test_words_of_the_client_that_gemini_repeats_tell_nothing(message, words):
    """One license could have changed everybody's requests for a day."""
    healed, notes = mended(message.format(words), {"temperature": 1, "maxOutputTokens": 9})
    assert healed is None
    assert notes.adjusted == {}


def test_a_refusal_is_remembered_for_a_day_and_for_its_model_only():
    now = 0.0
    learned = LearnedRefusals(lambda: now)
    learned.learn("a", "penalties")
    assert learned.of("a") == {"penalties"}
    assert learned.of("b") == frozenset()
    now = REMEMBER_S
    assert learned.of("a") == frozenset()


def test_models_without_end_do_not_fill_the_memory():
    learned = LearnedRefusals(lambda: 0.0)
    for number in range(MAX_LEARNED + 1):
        learned.learn(f"m{number}", "penalties")
    assert learned.of("m0") == frozenset()
    assert learned.of(f"m{MAX_LEARNED}") == {"penalties"}


def test_a_range_that_refuses_an_amount_says_nothing_of_none_at_all():
    message = "The thinking budget 9 is invalid. Please choose a value between 512 and 800."
    healed, _ = mended(message, {"thinkingConfig": {"thinkingBudget": 9}})
    assert healed is not None
    for budget in (0, -1):
        config = {"thinkingConfig": {"thinkingBudget": budget}}
        other = UpstreamCall("m", {"contents": CONTENTS, "generationConfig": config}, stream=False)
        assert without(other, [healed.feature], Notes()) is other


def test_a_budget_within_its_range_is_left_alone():
    message = "The thinking budget is invalid. Please choose a value between 1 and 50."
    assert mended(message, {"thinkingConfig": {"thinkingBudget": 9}})[0] is None


def test_of_one_settings_limits_the_latest_counts_and_applies_to_the_next_call():
    learned = LearnedRefusals(lambda: 0.0)
    for feature in ("seed", "max_tokens=0..9", "max_tokens=0..5"):
        learned.learn("a", feature)
    assert learned.of("a") == {"seed", "max_tokens=0..5"}
    notes = Notes()
    told = {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 7}}
    call = without(UpstreamCall("a", told, stream=False), learned.of("a"), notes)
    assert call.body["generationConfig"] == {"maxOutputTokens": 5}
    assert notes.adjusted == {"max_tokens": "5;reason=model"}
