"""Keywords that are sent, and two of one joined."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema_steps import Steps


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
