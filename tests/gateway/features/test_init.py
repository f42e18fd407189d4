"""Bodies without what a model refuses."""

import pytest

from tests.gateway.features.mending import FUNCTIONS, mended


@pytest.mark.parametrize(
    ("message", "body", "feature", "gone"),
    [
        (
            "Developer instruction is not enabled for models/gemma-3",
            {"systemInstruction": {"parts": [{"text": "s"}]}},
            "system",
            "systemInstruction",
        ),
        (
            "Function calling is not enabled for this model",
            {"tools": [FUNCTIONS]},
            "functions",
            "tools",
        ),
        (
            "Search Grounding is not supported.",
            {"tools": [{"googleSearch": {}}]},
            "search",
            "tools",
        ),
        ("Google Maps tool is not enabled", {"tools": [{"googleMaps": {}}]}, "maps", "tools"),
        ("Browse tool is not supported.", {"tools": [{"urlContext": {}}]}, "urls", "tools"),
        ("Code execution is not enabled", {"tools": [{"codeExecution": {}}]}, "code", "tools"),
        ("File search tool is not enabled", {"tools": [{"fileSearch": {}}]}, "files", "tools"),
        ("Computer Use is not enabled", {"tools": [{"computerUse": {}}]}, "computer", "tools"),
        ("Tool use is not supported", {"tools": [{"urlContext": {}}]}, "builtins", "tools"),
        ("service_tier is not available", {"serviceTier": "flex"}, "service_tier", "serviceTier"),
    ],
)
def test_a_part_of_the_body_that_is_refused_is_left_out(message, body, feature, gone):
    healed, _ = mended(message, **body)
    assert healed is not None
    assert healed.feature == feature
    assert gone not in healed.call.body


def test_json_beside_tools_is_asked_for_in_words():
    healed, _ = mended(
        "Function calling with a response mime type: 'application/json' is unsupported",
        {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        tools=[FUNCTIONS],
    )
    assert healed is not None
    assert healed.feature == "json_with_tools"
    assert "schema" in healed.call.body["systemInstruction"]["parts"][0]["text"]


def test_json_in_the_form_for_maps_is_asked_for_in_words_where_that_form_is_unknown():
    text = {"mimeType": "APPLICATION_JSON", "schema": {"type": "object"}}
    healed, _ = mended(
        "Unknown name \"responseFormat\" at 'generation_config': Cannot find field.",
        {"responseFormat": {"text": text}},
        tools=[{"googleMaps": {}}],
    )
    assert healed is not None
    assert "generationConfig" not in healed.call.body
    assert "schema" in healed.call.body["systemInstruction"]["parts"][0]["text"]


def test_safety_that_cannot_be_off_blocks_nothing():
    off = {"category": "c", "threshold": "OFF"}
    low = {"category": "d", "threshold": "BLOCK_NONE"}
    healed, _ = mended("The threshold OFF is not supported", safetySettings=[off, low])
    assert healed is not None
    assert healed.call.body["safetySettings"] == [{**off, "threshold": "BLOCK_NONE"}, low]


def test_the_resolution_of_one_part_is_dropped_where_it_is_unknown():
    part = {"text": "x", "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}}
    healed, notes = mended(
        "Unknown name \"mediaResolution\" at 'contents[0].parts[0]'",
        contents=[{"role": "user", "parts": [part, {"text": "y"}]}],
    )
    assert healed is not None
    assert healed.call.body["contents"][0]["parts"] == [{"text": "x"}, {"text": "y"}]
    assert list(notes.adjusted) == ["detail"]


@pytest.mark.parametrize("count", [0, -1, 9, 10**9, "2", None])
def test_no_count_beyond_its_bounds_becomes_so_many_calls(count):
    healed, _ = mended("Multiple candidates is not enabled", {"candidateCount": count})
    assert healed is None


@pytest.mark.parametrize("form", [{"audio": {}}, {"text": {"mimeType": "TEXT_PLAIN"}}])
def test_a_form_of_sound_or_plain_text_says_nothing_of_json(form):
    healed, _ = mended("JSON mode is not enabled", {"responseFormat": form})
    assert healed is None


def test_the_form_of_images_stays_where_json_is_asked_for_in_words():
    image = {"aspectRatio": "ASPECT_RATIO_ONE_BY_ONE"}
    form = {"text": {"mimeType": "APPLICATION_JSON"}, "image": image}
    healed, _ = mended("JSON mode is not enabled", {"responseFormat": form})
    assert healed is not None
    assert healed.call.body["generationConfig"] == {"responseFormat": {"image": image}}
