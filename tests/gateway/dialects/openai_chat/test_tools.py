"""Tools and the choice among them."""

import time

import pytest

from gateway.dialects.openai_chat.names import wire_name
from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import OBJECT, ask, body, function

NEW = "gemini-3.5-flash"


def test_all_functions_are_declared_in_one_object():
    made = body(tools=[function("a", OBJECT, description="d"), function("b")])
    assert made["tools"] == [
        {
            "functionDeclarations": [
                {"name": "a", "description": "d", "parametersJsonSchema": OBJECT},
                {"name": "b"},
            ]
        }
    ]


def test_legacy_functions_count_where_there_are_no_tools():
    made = body(functions=[{"name": "f"}], function_call={"name": "f"})
    assert made["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert made["toolConfig"]["functionCallingConfig"] == {
        "mode": "ANY",
        "allowedFunctionNames": ["f"],
    }


def test_a_custom_tool_is_a_function_with_one_string():
    custom = {"name": "c", "description": "d", "format": {"type": "text"}}
    declared = body(tools=[{"type": "custom", "custom": custom}])["tools"][0]
    (made,) = declared["functionDeclarations"]
    assert made["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}


def test_the_grammar_of_a_custom_tool_is_told_in_words_and_noted():
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}
    asked, notes = ask(tools=[{"type": "custom", "custom": {"name": "c", "format": grammar}}])
    (made,) = asked.body["tools"][0]["functionDeclarations"]
    assert "start: A" in made["description"]
    assert "tools[0].custom.format" in notes.adjusted


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
    made = body(tools=[function()], tool_choice=choice)
    assert made["toolConfig"]["functionCallingConfig"] == config


@pytest.mark.parametrize("odd", [[], {}, "auto", "allowed_tools", 1])
def test_a_function_call_chooses_by_its_name_whatever_stands_beside_it(odd):
    asked, notes = ask(functions=[{"name": "f"}], function_call={"name": "f", "type": odd})
    config = asked.body["toolConfig"]["functionCallingConfig"]
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


def test_a_choice_among_many_takes_no_time_to_speak_of():
    names = [{"name": "f"}, {"name": "web_search"}]
    choice = {"type": "allowed_tools", "tools": [name for name in names for _ in range(10_000)]}
    began = time.process_time()
    made = body(tools=[function()], tool_choice=choice)
    assert time.process_time() - began < 0.5
    assert made["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"][0] == "f"


def test_a_choice_without_functions_is_not_sent():
    assert "toolConfig" not in body(tool_choice="auto")


def test_a_built_in_tool_cannot_be_demanded_which_is_noted():
    asked, notes = ask(tools=[{"type": "web_search"}], tool_choice={"type": "web_search"})
    assert asked.body["tools"] == [{"googleSearch": {}}]
    assert notes.adjusted == {"tool_choice": "auto;reason=builtin"}


def test_no_tools_at_all_means_no_built_in_ones_either():
    made = body(model=NEW, tools=[function(), {"googleSearch": {}}], tool_choice="none")
    assert made["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert made["toolConfig"] == {"functionCallingConfig": {"mode": "NONE"}}


@pytest.mark.parametrize(
    ("tool", "native"),
    [
        (function("codeExecution"), {"codeExecution": {}}),
        (function("code_execution", {}), {"codeExecution": {}}),
        (function("code_interpreter", {"type": "object", "properties": {}}), {"codeExecution": {}}),
        (function("googleSearch"), {"googleSearch": {}}),
        (function("url_context"), {"urlContext": {}}),
        (function("googleMaps"), {"googleMaps": {}}),
        ({"type": "computer_use"}, {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}),
        ({"type": "web_search", "search_context_size": "low"}, {"googleSearch": {}}),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, {"codeExecution": {}}),
        ({"google_search": {}}, {"googleSearch": {}}),
        ({"codeExecution": None}, {"codeExecution": {}}),
        (
            {"fileSearch": {"file_search_store_names": ["fileSearchStores/1"]}},
            {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/1"]}},
        ),
        (
            {"type": "file_search", "vector_store_ids": ["fileSearchStores/1"]},
            {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/1"]}},
        ),
    ],
)
def test_built_in_tools_are_known_by_name_by_type_and_by_key(tool, native):
    assert body(tools=[tool])["tools"] == [native]


def test_a_function_with_parameters_stays_a_function_under_any_name():
    made = body(tools=[function("googleSearch", OBJECT)])
    assert made["tools"][0]["functionDeclarations"][0]["name"] == "googleSearch"


def test_file_search_without_a_store_is_refused():
    with pytest.raises(BadRequest) as caught:
        ask(tools=[{"type": "file_search"}])
    assert caught.value.param == "tools[0]"


@pytest.mark.parametrize("name", ["file_search", "computer_use", "computerUse"])
def test_a_name_that_says_too_little_for_a_built_in_tool_is_a_function(name):
    assert body(tools=[function(name)])["tools"] == [{"functionDeclarations": [{"name": name}]}]


def test_legacy_functions_have_the_same_names_of_built_in_tools():
    made = body(functions=[{"name": "codeExecution"}])
    assert made["tools"] == [{"codeExecution": {}}]


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
    asked, notes = ask(model=NEW, tools=[function("web_search", parameters)])
    (declared,) = asked.body["tools"][0]["functionDeclarations"]
    # What cannot be told of them is named.
    assert "parametersJsonSchema" in declared
    assert declared["parametersJsonSchema"] != {"type": "object"} or notes.adjusted


def test_older_models_drop_built_in_tools_beside_functions_and_name_them():
    asked, notes = ask(tools=[function(), function("googleSearch")])
    assert asked.body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert list(notes.dropped) == ["tools.googleSearch"]


def test_newer_models_take_both_with_validated_calls():
    made = body(model=NEW, tools=[function(), function("googleSearch")])
    assert made["tools"] == [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]
    assert made["toolConfig"] == {
        "functionCallingConfig": {"mode": "VALIDATED"},
        "includeServerSideToolInvocations": True,
    }


def test_web_search_options_switch_the_search_on():
    asked, notes = ask(web_search_options={"search_context_size": "high", "user_location": None})
    assert asked.body["tools"] == [{"googleSearch": {}}]
    assert list(notes.dropped) == ["web_search_options.search_context_size"]


def test_native_tools_and_the_place_of_the_user_come_through_google():
    google = {
        "tools": [{"google_maps": {"enable_widget": True}}],
        "retrieval_config": {"lat_lng": {"latitude": 1.5, "longitude": 2}},
    }
    made = body(google=google)
    assert made["tools"] == [{"googleMaps": {"enableWidget": True}}]
    assert made["toolConfig"] == {"retrievalConfig": {"latLng": {"latitude": 1.5, "longitude": 2}}}


@pytest.mark.parametrize("tools", [5, [5]])
def test_native_tools_of_a_wrong_type_are_refused(tools):
    with pytest.raises(BadRequest) as caught:
        ask(google={"tools": tools})
    assert caught.value.param == "google.tools"


def test_unknown_and_repeated_tools_are_dropped_and_noted():
    asked, notes = ask(tools=[function(), {"type": "mcp"}, function()])
    assert asked.body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert list(notes.dropped) == ["tools[1]", "tools[2].function"]


def test_one_call_at_a_time_is_asked_for_in_words():
    asked, notes = ask(tools=[function()], parallel_tool_calls=False)
    assert "one function at a time" in asked.body["systemInstruction"]["parts"][-1]["text"]
    assert "parallel_tool_calls" in notes.adjusted


@pytest.mark.parametrize(
    ("config", "made"),
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
def test_geminis_own_tool_choice_is_taken_in_both_spellings(config, made):
    tools = [function("f"), function("f g")]
    for google in (
        {"tool_config": {"function_calling_config": config}},
        {"functionCallingConfig": config},
    ):
        assert body(tools=tools, google=google)["toolConfig"] == {"functionCallingConfig": made}


def test_tool_choice_comes_before_geminis_own():
    google = {"functionCallingConfig": {"mode": "ANY"}}
    made = body(tools=[function("f")], google=google, tool_choice="none")
    assert made["toolConfig"] == {"functionCallingConfig": {"mode": "NONE"}}


def test_geminis_own_tool_choice_names_functions_that_are_there():
    google = {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["x"]}}
    with pytest.raises(BadRequest) as caught:
        body(tools=[function("f")], google=google)
    assert caught.value.param == "google.function_calling_config"


def test_what_google_asks_its_tools_is_shown_where_the_client_wants_it():
    google = {"tool_config": {"include_server_side_tool_invocations": True}}
    made = body(model="gemini-3.5-flash", tools=[{"google_search": {}}], google=google)
    assert made["toolConfig"] == {"includeServerSideToolInvocations": True}
    call, notes = ask(tools=[{"google_search": {}}], google=google)
    assert "toolConfig" not in call.body
    assert "google.include_server_side_tool_invocations" in notes.adjusted


@pytest.mark.parametrize("name", ["google_search_retrieval", "googleSearchRetrieval"])
def test_search_by_its_old_name_is_search(name):
    call, notes = ask(tools=[{name: {"dynamic_retrieval_config": {"mode": "MODE_DYNAMIC"}}}])
    assert call.body["tools"] == [{"googleSearch": {}}]
    assert list(notes.dropped) == [f"tools[0].{name}.dynamic_retrieval_config"]


def test_what_stands_beside_a_built_in_tool_is_noted():
    call, notes = ask(tools=[{"googleSearch": {}, "functionDeclarations": [{"name": "a"}]}])
    assert call.body["tools"] == [{"googleSearch": {}}]
    assert list(notes.dropped) == ["tools[0].functionDeclarations"]


@pytest.mark.parametrize(
    ("tool", "dropped"),
    [
        ({"type": "web_search", "user_location": {"type": "approximate"}}, ["user_location"]),
        ({"type": "web_search", "search_context_size": None}, []),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, []),
        ({"type": "code_interpreter", "container": "c_1"}, ["container"]),
        ({"type": "file_search", "vector_store_ids": ["f"], "max_num_results": 5}, []),
    ],
)
def test_settings_of_hosted_tools_without_counterpart_are_named(tool, dropped):
    _, notes = ask(tools=[tool])
    assert list(notes.dropped) == [f"tools[0].{name}" for name in dropped]


@pytest.mark.parametrize(
    ("fields", "told"),
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
def test_a_demand_of_a_function_where_there_is_none_is_named(fields, told):
    _, notes = ask(**fields)
    assert [f"{name}={change}" for name, change in notes.adjusted.items()] == [told]


def test_a_place_of_the_user_needs_a_tool_that_asks_for_it():
    google = {"retrieval_config": {"language_code": "de"}}
    asked, notes = ask(google=google)
    assert "toolConfig" not in asked.body
    assert list(notes.dropped) == ["google.retrieval_config"]


def test_of_two_lists_of_functions_and_two_choices_the_newer_count():
    fields = {"functions": [{"name": "g"}], "function_call": "none", "tool_choice": "required"}
    asked, notes = ask(tools=[function("f")], **fields)
    assert asked.body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert asked.body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert list(notes.dropped) == ["functions", "function_call"]
