"""The client's functions as Gemini's declarations."""

import pytest

from tests.gateway.dialects.openai_chat.asking import OBJECT, ask, body, function

NEW = "gemini-3.5-flash"


def test_all_functions_are_declared_in_one_object():
    sent = body(tools=[function("a", OBJECT, description="d"), function("b")])
    assert sent["tools"] == [
        {
            "functionDeclarations": [
                {"name": "a", "description": "d", "parametersJsonSchema": OBJECT},
                {"name": "b"},
            ]
        }
    ]


def test_a_custom_tool_is_a_function_with_one_string():
    custom = {"name": "c", "description": "d", "format": {"type": "text"}}
    declared = body(tools=[{"type": "custom", "custom": custom}])["tools"][0]
    (declarations,) = declared["functionDeclarations"]
    assert declarations["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}


def test_the_grammar_of_a_custom_tool_is_told_in_words_and_noted():
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
    call, notes = ask(tools=[{"type": "custom", "custom": {"name": "c", "format": grammar}}])
    (declaration,) = call.body["tools"][0]["functionDeclarations"]
    assert "start: A" in declaration["description"]
    assert "tools[0].custom.format" in notes.adjusted


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "patternProperties": {"^a": {"type": "string"}}},
        {"type": "object", "properties": {}, "anyOf": [OBJECT, {"type": "object"}]},
    ],
    ids=["map", "pattern", "union"],
)
def test_parameters_without_properties_are_parameters(parameters):
    call, notes = ask(model=NEW, tools=[function("web_search", parameters)])
    (declared,) = call.body["tools"][0]["functionDeclarations"]
    # What cannot be told of them is named.
    assert "parametersJsonSchema" in declared
    assert declared["parametersJsonSchema"] != {"type": "object"} or notes.adjusted
