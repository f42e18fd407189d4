"""Sampling, limits, the answer's form, safety, tier, native fields."""

import pytest

from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import OBJECT, ask, body, function

NEWEST = "gemini-3.7-flash"


def config(**fields):
    return body(**fields).get("generationConfig", {})


def refused(**fields):
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    return caught.value.param


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5, "top_k": 40.0}, {"topP": 0.5, "topK": 40}),
        ({"n": 1}, {}),
        ({"n": 3}, {"candidateCount": 3}),
        ({"stop": "a"}, {"stopSequences": ["a"]}),
        ({"stop": ["a", "", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"stop": ""}, {}),
        ({"seed": 0}, {"seed": 0}),
        ({"max_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 7.0}, {"maxOutputTokens": 7}),
        ({"max_completion_tokens": 7, "max_tokens": 5}, {"maxOutputTokens": 7}),
        ({"max_completion_tokens": None, "max_tokens": 5}, {"maxOutputTokens": 5}),
        (
            {"response_format": {"type": "json_object", "json_schema": {"schema": OBJECT}}},
            {"responseMimeType": "application/json"},
        ),
        (
            {"presence_penalty": 1, "frequency_penalty": -1},
            {"presencePenalty": 1, "frequencyPenalty": -1},
        ),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"logprobs": False, "top_logprobs": 0}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": OBJECT}}},
            {"responseMimeType": "application/json", "responseJsonSchema": OBJECT},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            {"responseMimeType": "application/json"},
        ),
        ({"temperature": None, "stop": None}, {}),
    ],
)
def test_every_field_of_the_answer(fields, sent):
    assert config(**fields) == sent


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": 0}, "top_k"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"google": {"candidate_count": 9}}, "google.candidate_count"),
        # As many calls would be made.
        (
            {"model": "gemini-3.8-flash", "google": {"candidateCount": 1_000_000}},
            "google.candidate_count",
        ),
        ({"google": {"candidate_count": 0}}, "google.candidate_count"),
        ({"google": {"max_output_tokens": -5}}, "google.max_output_tokens"),
        ({"google": {"top_p": 7}}, "google.top_p"),
        # More than Gemini's numbers hold, and than can be written as JSON.
        ({"google": {"top_k": 1e300}}, "google.top_k"),
        ({"google": {"seed": 1e300}}, "google.seed"),
        ({"google": {"seed": 2**31}}, "google.seed"),
        (
            {"tools": [{"file_search": {"file_search_store_names": ["a"], "top_k": 1e300}}]},
            "tools[0].file_search.top_k",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": 3}, "frequency_penalty"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        (
            {"google": {"safety_settings": [{"category": "X"}]}},
            "google.safety_settings[0].category",
        ),
        ({"google": {"safety_settings": 5}}, "google.safety_settings"),
        ({"google": {"safety_settings": ""}}, "google.safety_settings"),
        ({"google": {"safety_settings": [5]}}, "google.safety_settings[0]"),
        (
            {"google": {"safety_settings": [{"category": 5}]}},
            "google.safety_settings[0].category",
        ),
        ({"google": {"service_tier": 5}}, "google.service_tier"),
        ({"google": {"response_format": 5}}, "google.response_format"),
        ({"google": {"translation_config": []}}, "google.translation_config"),
        (
            {"google": {"audio_transcription_config": {"language_codes": [5]}}},
            "google.audio_transcription_config.language_codes[0]",
        ),
        ({"google": {"top_k": "x"}}, "google.top_k"),
        ({"google": {"generation_config": 5}}, "google.generation_config"),
        ({"google": {"cached_content": 5}}, "google.cached_content"),
        ({"google": {"continuation_token": 5}}, "google.continuation_token"),
        ({"google": {"continuationToken": ""}}, "google.continuation_token"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"$ref": "#/$defs/A"}},
                }
            },
            "response_format.json_schema.schema",
        ),
        (
            {"tools": [function("f", {"type": "object", "properties": {"a": {"$ref": "#/x"}}})]},
            "tools[0].function.parameters",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(fields, param):
    assert refused(**fields) == param


def test_only_the_first_five_stop_texts_are_taken_which_is_noted():
    call, notes = ask(stop=list("abcdef"))
    assert call.body["generationConfig"]["stopSequences"] == list("abcde")
    assert "stop" in notes.adjusted


def test_a_seed_beyond_32_bits_is_folded_which_is_noted():
    call, notes = ask(seed=2**40)
    assert 0 <= call.body["generationConfig"]["seed"] < 2**31
    assert "seed" in notes.adjusted


def test_models_without_sampling_do_not_get_it():
    call, notes = ask(model=NEWEST, temperature=1, top_p=1, top_k=3)
    assert "generationConfig" not in call.body
    assert notes.adjusted["temperature"] == "dropped;reason=model"


def test_models_with_one_candidate_are_called_as_often_as_needed():
    call, notes = ask(model=NEWEST, n=3)
    assert (call.copies, notes.adjusted) == (3, {})
    assert "generationConfig" not in call.body


def test_json_beside_tools_is_emulated_on_models_that_refuse_it():
    form = {"type": "json_schema", "json_schema": {"schema": OBJECT}}
    call, notes = ask(response_format=form, tools=[function()])
    assert "generationConfig" not in call.body
    assert '"properties"' in call.body["systemInstruction"]["parts"][-1]["text"]
    assert notes.adjusted == {"response_format": "emulated;reason=model"}
    assert "responseJsonSchema" in config(model=NEWEST, response_format=form, tools=[function()])


def test_a_forced_call_leaves_no_room_for_json():
    form = {"type": "json_object"}
    call, notes = ask(
        model=NEWEST, response_format=form, tools=[function()], tool_choice="required"
    )
    assert "generationConfig" not in call.body
    assert notes.adjusted == {"response_format": "dropped;reason=tool_choice"}


def test_safety_is_off_unless_asked_for():
    settings = body()["safetySettings"]
    assert {one["threshold"] for one in settings} == {"OFF"}
    assert len(settings) == 4
    requested = [{"category": "harassment", "threshold": "block_none"}, {"category": "JAILBREAK"}]
    sent = body(google={"safety_settings": requested}, safety={"HATE_SPEECH": "BLOCK_ONLY_HIGH"})
    by_name = {one["category"]: one["threshold"] for one in sent["safetySettings"]}
    assert by_name["HARM_CATEGORY_HARASSMENT"] == "BLOCK_NONE"
    assert by_name["HARM_CATEGORY_HATE_SPEECH"] == "BLOCK_ONLY_HIGH"
    assert by_name["HARM_CATEGORY_DANGEROUS_CONTENT"] == "OFF"
    assert len(by_name) == 4


@pytest.mark.parametrize(
    ("tier", "native"),
    [("auto", "standard"), ("flex", "flex"), ("fast", "priority"), ("scale", "standard")],
)
def test_service_tiers_have_geminis_names(tier, native):
    assert body(service_tier=tier)["serviceTier"] == native
    assert body(google={"service_tier": tier.upper()})["serviceTier"] == native


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"google": {"service_tier": "flex"}}, []),
        ({"google": {"service_tier": "flex"}, "service_tier": "flex"}, []),
        ({"google": {"service_tier": "flex"}, "service_tier": "fast"}, ["service_tier"]),
    ],
)
def test_of_two_tiers_only_another_one_is_named_as_left_out(fields, dropped):
    call, notes = ask(**fields)
    assert call.body["serviceTier"] == "flex"
    assert list(notes.dropped) == dropped


def test_a_native_schema_of_a_wrong_type_is_refused():
    assert refused(google={"response_json_schema": 5}) == "google.response_json_schema"


def test_a_media_resolution_that_is_asked_for_counts_before_the_details_of_parts():
    sent = config(google={"media_resolution": None, "top_k": 1})
    assert sent == {"topK": 1}


def test_an_unknown_tier_is_refused():
    assert refused(google={"service_tier": "huge"}) == "google.service_tier"


def test_configured_safety_counts_alone_too():
    sent = body(safety={"HATE_SPEECH": "BLOCK_ONLY_HIGH"})["safetySettings"]
    thresholds = {one["category"]: one["threshold"] for one in sent}
    assert thresholds.pop("HARM_CATEGORY_HATE_SPEECH") == "BLOCK_ONLY_HIGH"
    assert set(thresholds.values()) == {"OFF"}


def test_native_settings_override_openais_tier_and_image_settings_and_that_is_noted():
    google = {"service_tier": "flex", "image_config": {"aspect_ratio": "2:3"}}
    call, notes = ask(
        model="gemini-3-pro-image",
        service_tier="priority",
        image_config={"aspect_ratio": "1:1"},
        google=google,
    )
    assert call.body["serviceTier"] == "flex"
    assert call.body["generationConfig"]["imageConfig"] == {"aspectRatio": "2:3"}
    assert sorted(notes.dropped) == ["image_config", "service_tier"]


def test_the_native_form_of_the_answer_is_sent_alone():
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": OBJECT}}
    text = {"mimeType": "APPLICATION_JSON", "schema": {"type": "array"}}
    google = {"response_format": {"text": text}}
    call, notes = ask(response_format=form, google=google)
    assert call.body["generationConfig"] == {"responseFormat": {"text": text}}
    assert list(notes.dropped) == ["response_format"]
    sound = {"audio": {"sampleRate": 8000}}
    call, notes = ask(response_format=form, google={"response_format": sound})
    assert call.body["generationConfig"]["responseMimeType"] == "application/json"
    assert call.body["generationConfig"]["responseFormat"] == sound


def test_a_native_schema_is_read_as_deep_as_schemas_are():
    schema = {"any_of": [True, {"type": "STRING"}]}
    sent = config(google={"response_schema": schema})
    assert sent["responseJsonSchema"] == {"anyOf": [{}, {"type": "string"}]}
    deep = {"type": "STRING"}
    for _ in range(100):
        deep = {"type": "ARRAY", "items": deep}
    assert refused(google={"response_schema": deep}) == "google.response_schema"


@pytest.mark.parametrize(
    ("schema", "description"),
    [
        ({"type": "object"}, "In French"),
        ({"type": "object", "description": "A"}, "In French\nA"),
    ],
)
def test_what_is_said_of_the_answers_form_goes_before_its_schemas_own_words(schema, description):
    form = {"name": "a", "description": "In French", "schema": schema}
    sent = body(response_format={"type": "json_schema", "json_schema": form})
    assert sent["generationConfig"]["responseJsonSchema"]["description"] == description


def test_what_is_said_of_a_form_without_a_schema_is_named():
    form = {"name": "a", "description": "In French", "schema": {}, "x": 1}
    _, notes = ask(response_format={"type": "json_schema", "json_schema": form})
    names = ["response_format.json_schema.description", "response_format.json_schema.x"]
    assert list(notes.dropped) == names


def test_geminis_own_settings_of_its_discovery_document_arrive():
    config = {"language_codes": ["en"]}
    google = {"audio_transcription_config": config, "response_modalities": ["TEXT", "VIDEO"]}
    sent = body(model="gemini-omni-1.1-flash", google=google)["generationConfig"]
    assert sent == {
        "audioTranscriptionConfig": {"languageCodes": ["en"]},
        "responseModalities": ["TEXT", "VIDEO"],
    }


def test_unknown_fields_of_these_settings_are_named_and_not_sent():
    google = {"response_format": {"text": {"mime_type": "APPLICATION_JSON"}, "json_schema": {}}}
    call, notes = ask(google=google)
    sent = {"responseFormat": {"text": {"mimeType": "APPLICATION_JSON"}}}
    assert call.body["generationConfig"] == sent
    assert list(notes.dropped) == ["google.response_format.json_schema"]


def test_the_second_threshold_of_a_category_is_named():
    settings = [{"category": "HARASSMENT", "threshold": one} for one in ("BLOCK_NONE", "OFF")]
    call, notes = ask(google={"safety_settings": settings})
    assert call.body["safetySettings"][0]["threshold"] == "BLOCK_NONE"
    assert list(notes.dropped) == ["google.safety_settings[1]"]
