import pytest

from gateway.simulator.strict.schemas import resolve
from tests.gateway.simulator.strict.asking import refusal


def parameters(schema):
    return {"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}


def answers(schema, name="responseSchema"):
    return {"generationConfig": {"responseMimeType": "application/json", name: schema}}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "ARRAY"}, "items: missing field"),
        ({"type": "ARRAY", "items": {}}, "schema must have a type"),
        ({"properties": {"a": {"type": "STRING"}}}, "schema must have a type"),
        ({"type": "INTEGER", "enum": ["1"]}, "only allowed for STRING type"),
        ({"type": "STRING", "enum": ["a", ""]}, "enum[1]: cannot be empty"),
        ({"type": "OBJECT", "required": ["a"]}, "required[0]: property is not defined"),
        ({"type": "OBJECT", "anyOf": [{"type": "STRING"}]}, "it must be the only field set"),
        ({"anyOf": [{"type": "ARRAY"}]}, "any_of[0].items: missing field"),
        (
            {"type": "OBJECT", "properties": {"a": {"type": "ARRAY"}}},
            "properties[a].items: missing field",
        ),
    ],
)
def test_wrong_schemas_are_refused_with_their_place(schema, said):
    message = refusal(parameters(schema))
    assert "tools[0].function_declarations[0].parameters" in message
    assert said in message
    assert said in refusal(answers(schema))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], "must be an object"),
        ({"$ref": "#/$defs/Nobody"}, "Unresolvable reference"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "Unresolvable reference"),
        ({"items": {"$ref": "#", "description": "a"}}, "no fields beside it"),
        ({"anyOf": [{"type": "text"}]}, "Unknown type"),
    ],
)
def test_wrong_json_schemas_are_refused(schema, said):
    assert said in refusal(answers(schema, "responseJsonSchema"))
    declaration = {"name": "f", "parametersJsonSchema": schema}
    assert said in refusal({"tools": [{"functionDeclarations": [declaration]}]})


def test_recursive_json_schemas_with_unions_are_accepted():
    node = {
        "type": ["object", "null"],
        "properties": {
            "value": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "next": {"$ref": "#/$defs/Node"},
        },
        "additionalProperties": False,
    }
    schema = {"$defs": {"Node": node}, "$ref": "#/$defs/Node", "title": "Node"}
    assert refusal(answers(schema, "responseJsonSchema")) is None


def test_a_declaration_has_one_schema():
    both = {"name": "f", "parameters": {"type": "OBJECT"}, "parametersJsonSchema": {}}
    assert "only one of" in refusal({"tools": [{"functionDeclarations": [both]}]})


def test_references_are_followed_through_escaped_names():
    assert resolve("#/$defs/a~1b~0c", {"$defs": {"a/b~c": {"type": "string"}}}) == {
        "type": "string"
    }
    assert resolve("#/$defs/x", {"$defs": []}) is None
