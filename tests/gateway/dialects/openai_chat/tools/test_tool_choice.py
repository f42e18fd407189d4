"""The choice among tools, in each of its forms."""

import pytest

from gateway.dialects.openai_chat.names import wire_name
from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask, body, function

NEW = "gemini-3.5-flash"


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ("any", {"mode": "ANY"}),
        ({"type": "auto"}, {"mode": "AUTO"}),
        (
            {"type": "function", "function": {"name": "f"}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        ({"type": "tool", "name": "f"}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"name": "f"}]},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_every_form_of_choice(choice, config):
    sent = body(tools=[function()], tool_choice=choice)
    assert sent["toolConfig"]["functionCallingConfig"] == config


@pytest.mark.parametrize("odd", [[], {}, "auto", "allowed_tools", 1])
def test_a_function_call_chooses_by_its_name_whatever_stands_beside_it(odd):
    call, notes = ask(functions=[{"name": "f"}], function_call={"name": "f", "type": odd})
    config = call.body["toolConfig"]["functionCallingConfig"]
    assert config == {"mode": "ANY", "allowedFunctionNames": ["f"]}
    assert list(notes.dropped) == ["function_call.type"]


def test_a_function_call_of_a_function_that_is_not_there_is_refused_by_its_own_name():
    with pytest.raises(BadRequest) as caught:
        ask(functions=[{"name": "f"}], function_call={"name": "g"})
    assert caught.value.param == "function_call"


@pytest.mark.parametrize(
    "choice",
    [{"type": "function", "function": {"name": "g"}}, {"type": "allowed_tools", "tools": []}],
)
def test_a_choice_of_a_tool_that_is_not_there_is_refused(choice):
    with pytest.raises(BadRequest) as caught:
        ask(tools=[function()], tool_choice=choice)
    assert caught.value.param == "tool_choice"


def test_a_choice_without_functions_is_not_sent():
    assert "toolConfig" not in body(tool_choice="auto")


def test_a_built_in_tool_cannot_be_demanded_which_is_noted():
    call, notes = ask(tools=[{"type": "web_search"}], tool_choice={"type": "web_search"})
    assert call.body["tools"] == [{"googleSearch": {}}]
    assert notes.adjusted == {"tool_choice": "auto;reason=builtin"}


def test_no_tools_at_all_means_no_built_in_ones_either():
    sent = body(model=NEW, tools=[function(), {"googleSearch": {}}], tool_choice="none")
    assert sent["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "NONE"}}


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        ({"mode": "any"}, {"mode": "ANY"}),
        ({"mode": "NONE", "allowed_function_names": ["f"]}, {"mode": "NONE"}),
        ({"allowedFunctionNames": ["f"]}, {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f g"]},
            {"mode": "ANY", "allowedFunctionNames": [wire_name("f g")]},
        ),
    ],
)
def test_geminis_own_tool_choice_is_taken_in_both_spellings(config, sent):
    tools = [function("f"), function("f g")]
    for google in (
        {"tool_config": {"function_calling_config": config}},
        {"functionCallingConfig": config},
    ):
        assert body(tools=tools, google=google)["toolConfig"] == {"functionCallingConfig": sent}


def test_geminis_own_tool_choice_overrides_openais_like_every_native_setting():
    google = {"functionCallingConfig": {"mode": "VALIDATED"}}
    call, notes = ask(tools=[function("f")], google=google, tool_choice="auto")
    assert call.body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert list(notes.dropped) == ["tool_choice"]


def test_geminis_own_tool_choice_names_functions_that_are_there():
    google = {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["x"]}}
    with pytest.raises(BadRequest) as caught:
        body(tools=[function("f")], google=google)
    assert caught.value.param == "google.function_calling_config"


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"tool_choice": "required"}, "tool_choice=auto;reason=no_functions"),
        (
            {"tool_choice": "required", "tools": [{"type": "web_search"}]},
            "tool_choice=auto;reason=builtin",
        ),
        (
            {"google": {"functionCallingConfig": {"mode": "ANY"}}},
            "google.function_calling_config=auto;reason=no_functions",
        ),
    ],
)
def test_a_demand_of_a_function_where_there_is_none_is_named(fields, note):
    _, notes = ask(**fields)
    assert [f"{name}={change}" for name, change in notes.adjusted.items()] == [note]
