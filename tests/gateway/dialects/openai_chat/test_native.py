"""Gemini's own fields as clients give them."""

from time import process_time

import pytest

from gateway.errors import BadRequest
from gateway.simulator.strict.shape import _MESSAGES
from tests.gateway.dialects.openai_chat.asking import OBJECT, ask, body, function

MANY = {f"k{i}": 1 for i in range(513)}


def config(**fields):
    return body(**fields).get("generationConfig", {})


@pytest.mark.parametrize(
    ("google", "sent"),
    [
        ({"top_k": 3}, {"topK": 3}),
        ({"topK": 3, "candidateCount": None}, {"topK": 3}),
        (
            {
                "generation_config": {
                    "max_output_tokens": 9,
                    "thinking_config": {"thinkingBudget": 1},
                }
            },
            {"maxOutputTokens": 9, "thinkingConfig": {"thinkingBudget": 1}},
        ),
        ({"media_resolution": "media_resolution_low"}, {"mediaResolution": "MEDIA_RESOLUTION_LOW"}),
        ({"response_mime_type": "text/plain"}, {"responseMimeType": "text/plain"}),
        (
            {"response_json_schema": OBJECT},
            {"responseMimeType": "application/json", "responseJsonSchema": OBJECT},
        ),
        (
            {
                "response_schema": {
                    "type": "OBJECT",
                    "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}}},
                    "any_of": [{"type": "OBJECT"}],
                }
            },
            {
                "responseMimeType": "application/json",
                "responseJsonSchema": {
                    "type": "object",
                    "properties": {"a": {"type": "array", "items": {"type": "string"}}},
                    "anyOf": [{"type": "object"}],
                },
            },
        ),
    ],
)
def test_native_fields_arrive_in_both_spellings_and_from_both_places(google, sent):
    """gemini-balance#143."""
    assert config(google=google) == sent
    assert config(extra_body={"google": google}) == sent


def test_what_is_unknown_among_native_fields_is_dropped_and_noted():
    google = {"labels": {"a": "b"}, "image_config": {"person_generation": "x"}, "x_y": 1}
    call, notes = ask(model="gemini-2.5-flash-image", google=google)
    assert "imageConfig" not in call.body["generationConfig"]
    assert set(notes.dropped) == {
        "google.labels",
        "google.image_config.person_generation",
        "google.xY",
    }


def test_whole_numbers_with_a_point_and_nulls_are_taken_as_they_are_meant():
    google = {"top_k": 5.0, "thinking_config": {"thinking_budget": 900.0, "include_thoughts": None}}
    assert config(google=google) == {"topK": 5, "thinkingConfig": {"thinkingBudget": 900}}


@pytest.mark.parametrize(
    ("payload", "dropped"),
    [
        ({"google": {"topK": 1, "top_k": 2}}, ["google.topK"]),
        ({"google": {"top_k": 2, "generation_config": {"topK": 1}}}, ["google.topK"]),
        ({"google": {"top_k": 2}, "extra_body": {"google": {"top_k": 1}}}, ["google.top_k"]),
        ({"google": {"top_k": None}, "extra_body": {"google": {"top_k": 2}}}, []),
        ({"google": {"generationConfig": {}, "generation_config": {"top_k": 2}}}, []),
    ],
)
def test_of_a_field_sent_twice_one_counts_and_the_other_is_named(payload, dropped):
    call, notes = ask(payload)
    assert call.body["generationConfig"] == {"topK": 2}
    assert list(notes.dropped) == dropped


def test_fields_beside_a_group_count_before_those_in_it_whatever_their_names():
    google = {"generation_config": {"frequency_penalty": 1, "top_p": 1}, "frequencyPenalty": 0.5}
    assert config(google=google) == {"frequencyPenalty": 0.5, "topP": 1}


@pytest.mark.parametrize(
    ("google", "param", "code"),
    [
        ({"top_k": 2.5}, "google.top_k", "invalid_type"),
        ({"top_k": 2**31}, "google.top_k", "invalid_value"),
        ({"top_k": True}, "google.top_k", "invalid_type"),
        ({"media_resolution": "HUGE"}, "google.media_resolution", "invalid_type"),
        ({"generation_config": 5}, "google.generation_config", "invalid_type"),
    ],
)
def test_what_does_not_fit_is_named(google, param, code):
    with pytest.raises(BadRequest) as caught:
        ask(google=google)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_of_two_schemas_the_one_that_is_left_out_is_named():
    call, notes = ask(google={"response_schema": {"type": "ARRAY"}, "responseJsonSchema": OBJECT})
    assert call.body["generationConfig"]["responseJsonSchema"] == OBJECT
    assert list(notes.dropped) == ["google.response_schema"]


@pytest.mark.parametrize(
    ("google", "param", "code"),
    [
        (MANY, "google", "too_many_fields"),
        ({"generationConfig": MANY}, "google.generationConfig", "too_many_fields"),
        ({"thinking_config": MANY}, "google.thinking_config", "too_many_fields"),
        ({"stop_sequences": ["a"] * 513}, "google.stop_sequences", "array_too_long"),
        ({"tools": [{}] * 513}, "google.tools", "array_too_long"),
    ],
)
def test_too_many_entries_are_refused(google, param, code):
    with pytest.raises(BadRequest) as caught:
        ask(google=google)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_an_endless_name_is_no_name_of_gemini():
    """Spelling it in Gemini's way took a second for each megabyte."""
    began = process_time()
    _, notes = ask(google={"_a" * 500_000: 1})
    assert process_time() - began < 0.3
    assert len(notes.dropped) == 1


SAMPLES = {
    "any": {"type": "object"},
    "bool": True,
    "duration": "1s",
    "float": 0.5,
    "int32": 1,
    "int64": 1,
    "string": "X",
    "time": "2026-01-01T00:00:00Z",
}
WORDS = {"disabledSafetyPolicies": "ACCOUNT_CREATION"}
COUNTS = {"speakerVoiceConfigs": 2}
# What becomes something else on its way, as tests of its own show.
CHANGED = {
    "_responseJsonSchema",
    "functionDeclarations",
    "googleSearchRetrieval",
    "includeServerSideToolInvocations",
    "responseModalities",
    "responseSchema",
    "thinkingConfig",
}
# Categories of models before Gemini, and words that choose nothing.
UNWANTED = {
    *("HARM_CATEGORY_UNSPECIFIED", "HARM_CATEGORY_DEROGATORY", "HARM_CATEGORY_TOXICITY"),
    *("HARM_CATEGORY_VIOLENCE", "HARM_CATEGORY_SEXUAL", "HARM_CATEGORY_MEDICAL"),
    *("HARM_CATEGORY_DANGEROUS", "MODE_UNSPECIFIED"),
}
MODELS = {"speechConfig": "gemini-3.8-flash-tts", "imageConfig": "gemini-3-pro-image"}


def each_field(message):
    """Yield *message* of the simulator's tables with one field each, and each of its words."""
    for name, field in _MESSAGES[message].items():
        if name in CHANGED:
            continue
        if field.values:
            values = sorted(field.values - UNWANTED)
        elif field.type in _MESSAGES:
            values = list(each_field(field.type)) or [{}]
        else:
            values = [WORDS.get(name) or SAMPLES[field.type]]
        for value in values:
            many = [value] * COUNTS.get(name, 1)
            yield {name: many if field.many else {"k": value} if field.keyed else value}


def holds(sent, given):
    """Tell whether all of *given* is in *sent*."""
    if isinstance(given, dict):
        return all(name in sent and holds(sent[name], item) for name, item in given.items())
    if isinstance(given, list):
        return len(sent) == len(given) and all(map(holds, sent, given))
    return type(sent) is type(given) and sent == given


@pytest.mark.parametrize("given", [*each_field("GenerationConfig")], ids=str)
def test_every_setting_of_gemini_arrives_as_it_was_given(given):
    (name,) = given
    call, notes = ask(model=MODELS.get(name, "gemini-2.5-flash"), google=given)
    assert holds(call.body["generationConfig"], given)
    assert not notes.dropped


@pytest.mark.parametrize("given", [*each_field("Tool")], ids=str)
def test_every_option_of_geminis_own_tools_arrives_as_it_was_given(given):
    if "fileSearch" in given:
        given = {"fileSearch": {"fileSearchStoreNames": ["X"], **given["fileSearch"]}}
    call, notes = ask(google={"tools": [given]})
    assert holds(call.body["tools"], [given])
    assert not notes.dropped


@pytest.mark.parametrize("given", [*each_field("ToolConfig")], ids=str)
def test_every_setting_of_tools_arrives_as_it_was_given(given):
    tools = [{"google_maps": {}}] if "retrievalConfig" in given else [function("X")]
    call, notes = ask(model="gemini-3.5-flash", tools=tools, google=given)
    assert holds(call.body["toolConfig"], given)
    assert not notes.dropped


@pytest.mark.parametrize("given", [*each_field("SafetySetting")], ids=str)
def test_every_category_and_threshold_of_harm_arrives_as_it_was_given(given):
    setting = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH", **given}
    call, notes = ask(google={"safety_settings": [setting]})
    assert setting in call.body["safetySettings"]
    assert not notes.dropped
