"""JSON schemas in the accepted form."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.errors import BadRequest


def normal(schema):
    return normalise(schema, "p")[0]


@pytest.mark.parametrize(
    ("given", "made"),
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
            {"type": "object", "additionalProperties": {"type": "string", "not": {}}},
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
def test_a_schema_says_the_same_in_accepted_words(given, made):
    assert normal(given) == (given if made is None else made)


def test_constraints_that_cannot_be_told_are_named():
    _, lost = normalise({"type": "object", "patternProperties": {}, "not": {}}, "p")
    assert lost == ["not", "patternProperties"]


def test_definitions_and_recursion_are_kept_and_siblings_of_a_reference_dropped():
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/definitions/Node", "description": "d"}},
    }
    assert normal({"$ref": "#/definitions/Node", "definitions": {"Node": node}}) == {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }


def test_a_reference_into_the_schema_becomes_a_definition():
    given = {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"$ref": "#/properties/a"},
            "c": {"$ref": "#/$defs/a"},
            "d": {"anyOf": [{"$ref": "#/properties/e/anyOf/0"}]},
            "e": {"anyOf": [{"type": "null"}]},
            "f": {"$ref": "#"},
        },
        "$defs": {"a": {"type": "integer"}},
    }
    made = normal(given)
    assert made["$defs"] == {
        "a": {"type": "string"},
        "a_": {"type": "integer"},
        "0": {"type": "null"},
    }
    assert made["properties"]["c"] == {"$ref": "#/$defs/a_"}
    assert made["properties"]["f"] == {"$ref": "#"}


def test_a_single_reference_within_all_of_is_that_reference():
    """As pydantic writes a field with a default."""
    given = {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "default": 1}},
        "$defs": {"A": {"type": "integer"}},
    }
    assert normal(given)["properties"] == {"a": {"$ref": "#/$defs/A"}}


@pytest.mark.parametrize(
    "pointer", ["#/$defs/B", "https://example.com/a.json", "#/properties/x/9", "#/$defs/A/type/x"]
)
def test_a_reference_that_leads_nowhere_is_refused_by_its_place(pointer):
    with pytest.raises(BadRequest) as caught:
        normalise({"properties": {"a": {"$ref": pointer}}, "$defs": {"A": {"type": "x"}}}, "here")
    assert caught.value.param == "here"


def test_a_hostile_schema_is_refused_and_never_runs_away():
    deep = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    loop = {"allOf": [{"$ref": "#/$defs/A"}, {}], "$defs": {"A": {"$ref": "#/$defs/A"}}}
    for schema in (deep, loop):
        with pytest.raises(BadRequest):
            normalise(schema, "p")
    both = {"allOf": [{"$ref": "#/$defs/A"}, {}], "$defs": {}}
    both["$defs"]["A"] = {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}
    with pytest.raises(BadRequest):
        normalise(both, "p")
