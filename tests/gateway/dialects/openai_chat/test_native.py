"""Gemini's own fields as clients give them."""

import pytest

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
