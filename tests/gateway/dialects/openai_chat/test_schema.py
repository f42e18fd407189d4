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
    _, lost = normalise({"type": "object", "patternProperties": {"^a": {}}, "not": {}}, "p")
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
    assert normalise(given, "p")[1] == named


def test_definitions_and_recursion_are_kept():
    node = {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}}}
    assert normal({"$ref": "#/definitions/Node", "definitions": {"Node": node}}) == {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }


def test_what_stands_beside_a_reference_is_told_where_it_stands():
    given = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "minLength": 3, "description": "Of a."}},
        "$defs": {"A": {"type": "string", "minLength": 1, "description": "An A."}},
    }
    made, lost = normalise(given, "p")
    assert lost == []
    assert made["properties"]["a"] == {
        "type": "string",
        "minLength": 3,
        "description": "Of a.\nAn A.",
    }


def test_what_stands_beside_a_reference_within_its_own_target_becomes_a_definition():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node", "title": "T"}}}
    made, lost = normalise({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "p")
    assert lost == []
    titled = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node_1"}}, "title": "T"}
    assert made["$defs"] == {
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node_1"}}},
        "Node_1": titled,
    }


def test_names_of_definitions_are_plain_and_pointers_are_decoded():
    given = {
        "properties": {"a": {"$ref": "#/$defs/b~1c%20d"}},
        "$defs": {"b/c d": {"type": "string"}},
    }
    made = normal(given)
    assert made["properties"]["a"] == {"$ref": "#/$defs/b_1c_20d"}
    assert made["$defs"] == {"b_1c_20d": {"type": "string"}}


def test_a_large_target_that_is_referred_to_often_is_told_once_for_each_use():
    large = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(200)}}
    uses = {f"u{n}": {"$ref": "#/$defs/L", "description": "d"} for n in range(30)}
    made, lost = normalise({"properties": uses, "$defs": {"L": large}}, "p")
    assert lost == []
    assert made["properties"]["u0"]["description"] == "d"
    assert made["properties"]["u29"].keys() == {"$ref"}


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
        "a_1": {"type": "integer"},
        "0": {"type": "null"},
    }
    assert made["properties"]["c"] == {"$ref": "#/$defs/a_1"}
    assert made["properties"]["f"] == {"$ref": "#"}


def test_a_single_reference_within_all_of_is_that_reference():
    given = {
        "type": "object",
        "properties": {
            "a": {"allOf": [{"$ref": "#/$defs/A"}]},
            "b": {"allOf": [{"$ref": "#/$defs/A"}], "default": 1},
        },
        "$defs": {"A": {"type": "integer"}},
    }
    assert normal(given)["properties"] == {
        "a": {"$ref": "#/$defs/A"},
        "b": {"type": "integer", "default": 1},
    }


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
