"""Keywords of older drafts and of OpenAPI, in today's words."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema.steps import Steps


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"const": [1.0, {"a": 2.0}], "enum": [[1, {"a": 2}], 3]}, {"enum": [[1, {"a": 2}]]}),
        ({"type": "string", "required": False}, {"type": "string"}),
        ({"const": 1, "enum": [1.0, 2]}, {"enum": [1]}),
        ({"const": True, "type": "boolean"}, {"type": "boolean", "enum": [True]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"type": ["string"], "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"], "nullable": True}, {"type": ["string", "null"]}),
        (
            {"properties": {"a": {"type": "string"}}, "nullable": True},
            {"type": ["object", "null"], "properties": {"a": {"type": "string"}}},
        ),
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
            {"type": "array", "items": [{"type": "string"}]},
            {"type": "array", "prefixItems": [{"type": "string"}]},
        ),
        (
            {"type": "object", "propertyNames": {"type": "string"}, "patternProperties": {}},
            {"type": "object"},
        ),
    ],
)
def test_older_and_other_words_say_exactly_the_same(given, expected):
    assert normalise(given, "p", Steps()) == (expected, [])
