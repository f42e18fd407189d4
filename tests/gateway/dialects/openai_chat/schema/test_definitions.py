"""Definitions of a schema: what becomes one, under which name, and which of them are sent."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema.definitions import Definitions
from gateway.dialects.openai_chat.schema.steps import Steps


def normal(schema):
    return normalise(schema, "p", Steps())[0]


def test_definitions_and_recursion_are_kept():
    node = {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}}}
    assert normal({"$ref": "#/definitions/Node", "definitions": {"Node": node}}) == {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }


def test_what_stands_beside_a_reference_within_its_own_target_becomes_a_definition():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node", "title": "T"}}}
    normalised, lost = normalise({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "p", Steps())
    assert lost == []
    titled = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node_1"}}, "title": "T"}
    assert normalised["$defs"] == {
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node_1"}}},
        "Node_1": titled,
    }


def test_names_of_definitions_are_plain_and_pointers_are_decoded():
    given = {
        "properties": {"a": {"$ref": "#/$defs/b~1c%20d"}},
        "$defs": {"b/c d": {"type": "string"}},
    }
    normalised = normal(given)
    assert normalised["properties"]["a"] == {"$ref": "#/$defs/b_1c_20d"}
    assert normalised["$defs"] == {"b_1c_20d": {"type": "string"}}


def test_a_large_target_that_is_referred_to_often_is_told_once_for_each_use():
    large = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(200)}}
    uses = {f"u{n}": {"$ref": "#/$defs/L", "description": "d"} for n in range(30)}
    normalised, lost = normalise({"properties": uses, "$defs": {"L": large}}, "p", Steps())
    assert lost == []
    assert normalised["properties"]["u0"]["description"] == "d"
    assert normalised["properties"]["u29"].keys() == {"$ref"}


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
    normalised = normal(given)
    assert normalised["$defs"] == {
        "a": {"type": "string"},
        "a_1": {"type": "integer"},
        "0": {"type": "null"},
    }
    assert normalised["properties"]["c"] == {"$ref": "#/$defs/a_1"}
    assert normalised["properties"]["f"] == {"$ref": "#"}


def test_definitions_that_nothing_refers_to_any_more_go():
    """The items allow nothing, so that they are dropped with their reference."""
    impossible = {"not": {}, "$ref": "#/$defs/D"}
    schema = {"type": "array", "items": impossible, "$defs": {"D": {"type": "integer"}}}
    assert "$defs" not in normalise({**schema, "anyOf": [False]}, "p", Steps())[0]


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


def test_what_is_referred_to_twice_is_made_once():
    definitions, string = Definitions(), {"type": "string"}
    key, parts = frozenset({id(string)}), ({"$ref": "#/$defs/A"},)
    assert key not in definitions
    for _ in range(2):
        assert definitions.refer(key, [string], parts) == "#/$defs/A"
    assert key in definitions
    assert definitions.pending == [("A", key, [string])]


@pytest.mark.parametrize("all_of", [1.5, True, "x", {"$ref": "#/$defs/A"}, [5, {"$ref": 5}], None])
def test_a_definition_of_no_reference_has_a_name_too(all_of):
    members = [{"type": "string"}]
    assert Definitions().refer(frozenset({1}), members, ({"allOf": all_of},)) == "#/$defs/schema"
