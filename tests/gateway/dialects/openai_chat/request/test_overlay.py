"""Native settings over OpenAI's fields."""

from itertools import permutations

import pytest

from gateway.dialects.openai_chat.request import overlay
from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask


def test_fields_that_native_ones_overrule_are_named():
    google = {"temperature": 1, "candidate_count": 2, "stop_sequences": ["z"], "seed": 1}
    call, notes = ask(temperature=0.2, n=3, stop=["a"], seed=2, google=google)
    assert call.body["generationConfig"] == {
        "temperature": 1,
        "candidateCount": 2,
        "stopSequences": ["z"],
        "seed": 1,
    }
    assert list(notes.dropped) == ["temperature", "n", "stop", "seed"]


def test_equal_native_fields_overrule_nothing():
    _, notes = ask(temperature=1, stop="z", google={"temperature": 1.0, "stop_sequences": ["z"]})
    assert not notes.dropped


@pytest.mark.parametrize("name", ["response_json_schema", "response_schema"])
def test_a_form_of_the_answer_that_a_native_schema_overrules_is_named(name):
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    call, notes = ask(response_format=form, google={name: {"type": "string"}})
    assert call.body["generationConfig"]["responseJsonSchema"] == {"type": "string"}
    assert list(notes.dropped) == ["response_format"]


FORMS = {
    "response_format": {"text": {"mime_type": "APPLICATION_JSON"}},
    "response_mime_type": "application/json",
    "response_json_schema": {"type": "string"},
    "response_schema": {"type": "INTEGER"},
}


PAIR = ["response_json_schema", "response_schema"]


@pytest.mark.parametrize("names", list(permutations(FORMS)))
def test_the_form_of_the_text_supersedes_older_settings_in_whatever_order(names):
    call, notes = ask(google={name: FORMS[name] for name in names})
    text = {"mimeType": "APPLICATION_JSON"}
    assert call.body["generationConfig"] == {"responseFormat": {"text": text}}
    assert notes.dropped.keys() == {f"google.{name}" for name in FORMS if name != "response_format"}


@pytest.mark.parametrize("names", [PAIR, PAIR[::-1]])
def test_of_two_native_schemas_the_newer_counts_in_either_order(names):
    form = {"type": "json_object"}
    call, notes = ask(response_format=form, google={name: FORMS[name] for name in names})
    assert call.body["generationConfig"]["responseJsonSchema"] == {"type": "string"}
    assert list(notes.dropped) == ["google.response_schema"]


@pytest.mark.parametrize(("value", "fits"), [(0, True), (2, True), (2.1, False), (-0.1, False)])
def test_a_range_holds_for_whoever_names_the_setting(value, fits):
    if fits:
        overlay.check_range("temperature", value, "temperature")
        return
    with pytest.raises(BadRequest) as refused:
        overlay.check_range("temperature", value, "google.temperature")
    assert refused.value.param == "google.temperature"
