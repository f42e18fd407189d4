"""JSON schemas in the accepted form."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema.steps import Steps
from gateway.errors import BadRequest


def normal(schema):
    return normalise(schema, "p", Steps())[0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"properties": {"a": True}}, {"properties": {"a": {}}, "type": "object"}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "array", "items": {}}, {"type": "array", "items": {"type": "string"}}),
        (
            {"type": "array", "items": [{"type": "string"}]},
            {"type": "array", "prefixItems": [{"type": "string"}]},
        ),
        ({"const": 1}, {"enum": [1]}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        (
            {"type": "object", "properties": {"a": {}}, "required": ["a", "b", "a", 5]},
            {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        ),
        (
            {"type": "object", "properties": {"a": {}}, "required": "a"},
            {"type": "object", "properties": {"a": {}}},
        ),
        ({"$schema": "s", "strict": True, "encrypted": 1, "type": "string"}, {"type": "string"}),
        ({"oneOf": [{"type": "string"}, 5]}, {"oneOf": [{"type": "string"}, {}]}),
        ({"anyOf": "x"}, {}),
        (
            {"type": "object", "additionalProperties": {"type": "string", "not": {"enum": ["x"]}}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        ({"type": "object", "additionalProperties": False}, None),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 9}, {"type": "integer", "maximum": 8}),
        ({"type": "number", "exclusiveMinimum": 0.5}, {"type": "number", "minimum": 0.5}),
        ({"exclusiveMinimum": True, "type": "number"}, {"type": "number"}),
        ({"properties": 5}, {}),
        (True, {}),
        (
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}]},
            {"properties": {"a": {}, "b": {}}, "required": ["a"], "type": "object"},
        ),
        (
            {"allOf": [{"allOf": [{"type": "string"}]}], "title": "T"},
            {"type": "string", "title": "T"},
        ),
    ],
)
def test_a_schema_says_the_same_in_accepted_words(given, expected):
    assert normal(given) == (given if expected is None else expected)


def test_an_alternative_that_nothing_meets_goes_and_nothing_is_lost():
    """How zod tells that a value may be missing (openai/openai-node#1365, #2462)."""
    given = {"anyOf": [{"not": {}}, {"type": "string"}]}
    assert normalise(given, "p", Steps()) == ({"anyOf": [{"type": "string"}]}, [])
    none = {"type": "object", "properties": {"a": {"not": {}}}, "additionalProperties": False}
    assert normalise(none, "p", Steps()) == ({**none, "properties": {}}, [])


def test_constraints_that_cannot_be_told_are_named():
    _, lost = normalise(
        {"type": "object", "patternProperties": {"^a": {}}, "not": {"type": "null"}}, "p", Steps()
    )
    assert lost == ["not", "patternProperties"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"type": "array"}, ["items"]),
        ({"type": ["array", "null"], "items": {}}, ["items"]),
        ({"type": "array", "items": False}, []),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, []),
    ],
)
def test_items_of_any_kind_are_told_as_strings_and_named(given, named):
    assert normalise(given, "p", Steps())[1] == named


def test_what_stands_beside_a_reference_is_told_where_it_stands():
    given = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "minLength": 3, "description": "Of a."}},
        "$defs": {"A": {"type": "string", "minLength": 1, "description": "An A."}},
    }
    normalised, lost = normalise(given, "p", Steps())
    assert lost == []
    assert normalised["properties"]["a"] == {
        "type": "string",
        "minLength": 3,
        "description": "Of a.\nAn A.",
    }


def test_a_hostile_schema_is_refused_and_never_runs_away():
    deep = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    loop = {"allOf": [{"$ref": "#/$defs/A"}, {}], "$defs": {"A": {"$ref": "#/$defs/A"}}}
    for schema in (deep, loop):
        with pytest.raises(BadRequest):
            normalise(schema, "p", Steps())
    both = {"allOf": [{"$ref": "#/$defs/A"}, {}], "$defs": {}}
    both["$defs"]["A"] = {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}
    with pytest.raises(BadRequest):
        normalise(both, "p", Steps())


def test_a_schema_of_very_many_others_is_refused():
    schema = {"allOf": [{"title": str(at)} for at in range(100)]}
    with pytest.raises(BadRequest, match="merges too much"):
        normalise(schema, "p", Steps())
