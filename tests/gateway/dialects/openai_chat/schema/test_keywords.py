"""Keywords that are sent, and two of one joined."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema.steps import Steps


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        ({"type": "number", "exclusiveMinimum": 0}, ["exclusiveMinimum"]),
        ({"type": "integer", "exclusiveMinimum": 2**60}, ["exclusiveMinimum"]),
        ({"exclusiveMinimum": 0}, ["exclusiveMinimum"]),
        ({"type": "x", "nullable": True}, ["type"]),
        ({"const": 1, "enum": [2]}, ["false"]),
        ({"multipleOf": 2}, ["multipleOf"]),
        ({"minimum": "1"}, ["minimum"]),
        ({"minimum": True}, ["minimum"]),
        ({"$ref": 5}, ["$ref"]),
        ({"allOf": {}}, ["allOf"]),
        ({"properties": 5}, ["properties"]),
        ({"prefixItems": 5}, ["prefixItems"]),
        ({"anyOf": []}, ["anyOf"]),
        ({"oneOf": [5, {"type": "string"}]}, ["invalid"]),
        ({"required": True}, ["required"]),
        (
            {"patternProperties": {"^a": {}}, "additionalProperties": False},
            ["additionalProperties", "patternProperties"],
        ),
        ({"propertyNames": {"pattern": "^a"}}, ["propertyNames"]),
        ({"properties": {"a": False}}, ["false"]),
        ({"properties": {"a": {}}, "required": ["b"]}, ["required"]),
        ({"enum": []}, ["false"]),
    ],
)
def test_what_cannot_be_told_is_named(given, lost):
    assert normalise(given, "p", Steps())[1] == lost


def test_a_list_of_more_types_than_there_are_is_lost():
    schema = {"type": ["string"] * 99, "title": "T"}
    assert normalise(schema, "p", Steps()) == ({"title": "T"}, ["type"])


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("String", "string"),
        (["STRING", "null", "NULL"], ["string", "null"]),
        ("", None),
        ([], None),
        ("any", None),
        (["string", ""], None),
        (None, None),
    ],
    ids=repr,
)
def test_types_are_sent_in_small_letters_and_what_is_none_is_lost(written, sent):
    got, lost = normalise({"type": written, "title": "T"}, "p", Steps())
    assert (got.get("type"), lost) == (sent, [] if sent else ["type"])


def test_a_type_in_capitals_is_the_same_type():
    parts = [{"type": "Number"}, {"type": ["INTEGER", "string"]}]
    assert normalise({"allOf": parts}, "p", Steps()) == ({"type": "integer"}, [])
    array, lost = normalise({"type": "ARRAY", "nullable": True}, "p", Steps())
    assert (array["type"], lost) == (["array", "null"], ["items"])


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 9}, {"minimum": 1, "maximum": 8}),
        ({"exclusiveMinimum": 0.5, "exclusiveMaximum": 5.5}, {"minimum": 1, "maximum": 5}),
        ({"exclusiveMinimum": 4, "minimum": 2}, {"minimum": 5}),
        ({"exclusiveMinimum": 2, "minimum": 4}, {"minimum": 4}),
        ({"exclusiveMaximum": 4, "maximum": 2}, {"maximum": 2}),
    ],
)
def test_a_bound_of_whole_numbers_may_include_its_end(given, sent):
    assert normalise({"type": "integer", **given}, "p", Steps()) == (
        {"type": "integer", **sent},
        [],
    )


@pytest.mark.parametrize(
    "name",
    [
        *("$id", "$anchor", "$schema", "$comment", "strict", "encrypted", "examples", "example"),
        *("readOnly", "writeOnly", "deprecated", "discriminator", "xml", "externalDocs"),
    ],
)
def test_what_demands_nothing_of_a_value_goes_without_a_word(name):
    schema = {"type": "string", name: "x"}
    assert normalise(schema, "p", Steps()) == ({"type": "string"}, [])
