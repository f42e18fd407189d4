"""Tools of all kinds in one request."""

import pytest

from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import OBJECT, ask, body, function


def test_legacy_functions_count_where_there_are_no_tools():
    sent = body(functions=[{"name": "f"}], function_call={"name": "f"})
    assert sent["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert sent["toolConfig"]["functionCallingConfig"] == {
        "mode": "ANY",
        "allowedFunctionNames": ["f"],
    }


def test_a_function_with_parameters_stays_a_function_under_any_name():
    sent = body(tools=[function("googleSearch", OBJECT)])
    assert sent["tools"][0]["functionDeclarations"][0]["name"] == "googleSearch"


@pytest.mark.parametrize("name", ["file_search", "computer_use", "computerUse"])
def test_a_name_that_says_too_little_for_a_built_in_tool_is_a_function(name):
    assert body(tools=[function(name)])["tools"] == [{"functionDeclarations": [{"name": name}]}]


def test_legacy_functions_have_the_same_names_of_built_in_tools():
    sent = body(functions=[{"name": "codeExecution"}])
    assert sent["tools"] == [{"codeExecution": {}}]


@pytest.mark.parametrize("tools", [5, [5]])
def test_native_tools_of_a_wrong_type_are_refused(tools):
    with pytest.raises(BadRequest) as caught:
        ask(google={"tools": tools})
    assert caught.value.param == "google.tools"


def test_unknown_and_repeated_tools_are_dropped_and_noted():
    call, notes = ask(tools=[function(), {"type": "mcp"}, function()])
    assert call.body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert list(notes.dropped) == ["tools[1]", "tools[2].function"]


def test_one_call_at_a_time_is_asked_for_in_words():
    call, notes = ask(tools=[function()], parallel_tool_calls=False)
    assert "one function at a time" in call.body["systemInstruction"]["parts"][-1]["text"]
    assert "parallel_tool_calls" in notes.adjusted


def test_of_two_lists_of_functions_and_two_choices_the_newer_count():
    fields = {"functions": [{"name": "g"}], "function_call": "none", "tool_choice": "required"}
    call, notes = ask(tools=[function("f")], **fields)
    assert call.body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert call.body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert list(notes.dropped) == ["functions", "function_call"]
