"""Keywords in today's words, and two of one joined."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema_steps import Steps


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"const": [1.0, {"a": 2.0}], "enum": [[1, {"a": 2}], 3]}, {"enum": [[1, {"a": 2}]]}),
        ({"type": "string", "required": False}, {"type": "string"}),
        ({"const": 1, "enum": [1.0, 2]}, {"enum": [1]}),
        ({"const": True, "type": "boolean"}, {"type": "boolean", "enum": [True]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"type": ["string"], "nullable": True}, {"type": ["string", "null"]}),
        ({"title": "T", "nullable": True}, {"title": "T"}),
        (
            {"anyOf": [{"type": "string"}], "nullable": True, "description": "d"},
            {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"},
        ),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        (
            {"type": "number", "minimum": 1, "exclusiveMinimum": False},
            {"type": "number", "minimum": 1},
        ),
        (
            {"exclusiveMinimum": True, "minimum": 1, "type": "integer"},
            {"type": "integer", "minimum": 2},
        ),
        ({"exclusiveMaximum": 2.5, "type": "integer"}, {"type": "integer", "maximum": 2}),
        (
            {"exclusiveMinimum": 1, "minimum": 3, "type": "number"},
            {"minimum": 3, "type": "number"},
        ),
        (
            {"type": "array", "items": [{"type": "string"}], "additionalItems": False},
            {"type": "array", "prefixItems": [{"type": "string"}], "maxItems": 1},
        ),
        (
            {"type": "object", "propertyNames": {"type": "string"}, "patternProperties": {}},
            {"type": "object"},
        ),
    ],
)
def test_older_and_other_words_say_exactly_the_same(given, made):
    assert normalise(given, "p", Steps()) == (made, [])


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        ({"type": "number", "exclusiveMinimum": 0}, ["exclusiveMinimum"]),
        ({"type": "integer", "exclusiveMinimum": 2**60}, ["exclusiveMinimum"]),
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
