"""Gemini's built-in tools under all names, with their settings."""

import pytest

from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask, body, function


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
            {"type": "file_search", "file_search": {"vector_store_ids": ["a"]}, "top_k": 3},
            {"fileSearch": {"fileSearchStoreNames": ["a"], "topK": 3}},
        ),
        (
            {"type": "file_search", "vector_store_ids": ["fileSearchStores/1"]},
            {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/1"]}},
        ),
    ],
)
def test_built_in_tools_are_known_by_name_by_type_and_by_key(tool, native):
    assert body(tools=[tool])["tools"] == [native]


@pytest.mark.parametrize("spelling", ["mcpServers", "mcp_servers"])
def test_mcp_servers_are_sent_also_beside_functions(spelling):
    transport = {
        "url": "https://mcp.example/x",
        "headers": {"x-Key_a": "b"},
        "sseReadTimeout": "9s",
    }
    servers = [{"name": "a", "streamableHttpTransport": {**transport, "colour": 1}}]
    google = {"tools": [{spelling: servers}, {spelling: [{"name": "b"}]}]}
    call, notes = ask(model="gemini-3.5-flash", google=google, tools=[function("f")])
    sent = [{"name": "a", "streamableHttpTransport": transport}, {"name": "b"}]
    assert call.body["tools"][1:] == [{"mcpServers": sent}]
    assert list(notes.dropped) == [
        f"google.tools[0].{spelling}[0].streamableHttpTransport.colour",
    ]
    call, notes = ask(google=google, tools=[function("f")])
    assert len(call.body["tools"]) == 1, "this model does not combine them"
    assert "tools.mcpServers" in notes.dropped


def test_file_search_without_a_store_is_refused():
    with pytest.raises(BadRequest) as caught:
        ask(tools=[{"type": "file_search"}])
    assert caught.value.param == "tools[0]"


def test_web_search_options_switch_the_search_on():
    call, notes = ask(web_search_options={"search_context_size": "high", "user_location": None})
    assert call.body["tools"] == [{"googleSearch": {}}]
    assert list(notes.dropped) == ["web_search_options.search_context_size"]


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


def test_the_settings_of_a_tool_offered_twice_are_joined_and_what_differs_is_named():
    maps = [{"googleMaps": {"enableWidget": value}} for value in (True, None, False)]
    call, notes = ask(tools=maps)
    assert call.body["tools"] == [{"googleMaps": {"enableWidget": True}}]
    assert list(notes.dropped) == ["tools[2].googleMaps"]


@pytest.mark.parametrize(
    ("beside", "within", "param"),
    [
        ({"vector_store_ids": [1]}, {}, "tools[0].vector_store_ids[0]"),
        ({}, {"vector_store_ids": [1]}, "tools[0].file_search.vector_store_ids[0]"),
    ],
)
def test_a_wrong_setting_is_named_as_the_client_named_it(beside, within, param):
    with pytest.raises(BadRequest) as caught:
        ask(tools=[{"type": "file_search", "file_search": within, **beside}])
    assert caught.value.param == param
