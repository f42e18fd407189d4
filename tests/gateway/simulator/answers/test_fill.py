import pytest

from gateway.simulator.answers.fill import Filler

NODE = {
    "type": "object",
    "properties": {"value": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}},
    "required": ["value"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "STRING"}, "text"),
        ({"type": "string", "enum": ["b", "c"]}, "b"),
        ({"type": "string", "format": "date"}, "2026-11-23"),
        ({"type": "string", "minLength": 6}, "text.."),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "integer", "maximum": -5}, -5),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "number", "minimum": 1.5}, 1.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 1),
        ({"const": 4}, 4),
        ({"type": "string", "default": "d"}, "d"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"oneOf": [{"type": "boolean"}]}, True),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, [1, True]),
        ({"properties": {"city": {"type": "string"}}}, {"city": "Oslo"}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"key": 1}),
        ({"type": "object"}, {}),
        (True, "text"),
    ],
)
def test_values_fit_their_schema(schema, value):
    assert Filler(schema, {"city": "Oslo"}).fill() == value


def test_recursion_ends_where_it_is_allowed_to():
    value = Filler({"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"}).fill()
    depth = 0
    while value:
        assert value["value"] == "value"
        value, depth = value.get("next"), depth + 1
    assert 1 <= depth <= 4


def test_a_recursive_union_ends_in_null():
    union = {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}
    node = {"type": "object", "properties": {"next": union}, "required": ["next"]}
    value = Filler({"$defs": {"Node": node}, "$ref": "#/$defs/Node"}).fill()
    while value is not None:
        value = value["next"]
