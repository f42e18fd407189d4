"""Gemini's own fields as clients give them."""

from time import process_time

import pytest

from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import OBJECT, ask, body


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


def test_of_two_schemas_the_one_that_is_left_out_is_named():
    call, notes = ask(google={"response_schema": {"type": "ARRAY"}, "responseJsonSchema": OBJECT})
    assert call.body["generationConfig"]["responseJsonSchema"] == OBJECT
    assert list(notes.dropped) == ["google.response_schema"]


@pytest.mark.parametrize(
    ("google", "param"),
    [
        ({f"k{i}": 1 for i in range(513)}, "google"),
        ({"generationConfig": {f"k{i}": 1 for i in range(513)}}, "google.generationConfig"),
        ({"thinking_config": {f"k{i}": 1 for i in range(513)}}, "google.thinking_config"),
        ({"stop_sequences": ["a"] * 513}, "google.stop_sequences"),
        ({"tools": [{}] * 513}, "google.tools"),
    ],
)
def test_too_many_entries_are_refused(google, param):
    with pytest.raises(BadRequest) as caught:
        ask(google=google)
    assert caught.value.param == param
    assert caught.value.code in ("array_too_long", "too_many_fields")


def test_an_endless_name_is_no_name_of_gemini():
    """Spelling it in Gemini's way took a second for each megabyte."""
    began = process_time()
    _, notes = ask(google={"_a" * 500_000: 1})
    assert process_time() - began < 0.3
    assert len(notes.dropped) == 1
