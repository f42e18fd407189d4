"""What stands in the body for all tools together."""

import pytest

from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask, body, function

NEW = "gemini-3.5-flash"


def test_older_models_drop_built_in_tools_beside_functions_and_name_them():
    call, notes = ask(tools=[function(), function("googleSearch")])
    assert call.body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert list(notes.dropped) == ["tools.googleSearch"]


def test_newer_models_take_both_with_validated_calls():
    sent = body(model=NEW, tools=[function(), function("googleSearch")])
    assert sent["tools"] == [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]
    assert sent["toolConfig"] == {
        "functionCallingConfig": {"mode": "VALIDATED"},
        "includeServerSideToolInvocations": True,
    }


def test_a_native_mode_that_is_refused_beside_built_in_tools_is_noted():
    tools = [function(), {"google_search": {}}]
    google = {"function_calling_config": {"mode": "AUTO"}}
    call, notes = ask(model=NEW, tools=tools, google=google)
    assert call.body["toolConfig"]["functionCallingConfig"] == {"mode": "VALIDATED"}
    assert notes.adjusted == {"google.function_calling_config": "validated;reason=builtin"}
    assert not ask(model=NEW, tools=tools, tool_choice="auto")[1].adjusted


def test_native_tools_and_the_place_of_the_user_come_through_google():
    google = {
        "tools": [{"google_maps": {"enable_widget": True}}],
        "retrieval_config": {"lat_lng": {"latitude": 1.5, "longitude": 2}},
    }
    sent = body(google=google)
    assert sent["tools"] == [{"googleMaps": {"enableWidget": True}}]
    assert sent["toolConfig"] == {"retrievalConfig": {"latLng": {"latitude": 1.5, "longitude": 2}}}


def test_what_google_asks_its_tools_is_shown_where_the_client_wants_it():
    google = {"tool_config": {"include_server_side_tool_invocations": True}}
    sent = body(model="gemini-3.5-flash", tools=[{"google_search": {}}], google=google)
    assert sent["toolConfig"] == {"includeServerSideToolInvocations": True}
    call, notes = ask(tools=[{"google_search": {}}], google=google)
    assert "toolConfig" not in call.body
    assert "google.include_server_side_tool_invocations" in notes.adjusted


def test_hiding_what_google_asks_its_tools_is_no_option_beside_functions():
    google = {"include_server_side_tool_invocations": False}
    tools = [function(), {"google_search": {}}]
    call, notes = ask(model=NEW, tools=tools, google=google)
    assert call.body["toolConfig"]["includeServerSideToolInvocations"] is True
    assert notes.adjusted == {
        "google.include_server_side_tool_invocations": "true;reason=functions"
    }
    assert not ask(model=NEW, tools=tools[1:], google=google)[1].adjusted


def test_showing_what_google_asks_its_tools_is_yes_or_no():
    google = {"includeServerSideToolInvocations": "yes"}
    with pytest.raises(BadRequest) as caught:
        body(model=NEW, tools=[{"google_search": {}}], google=google)
    assert caught.value.param == "google.include_server_side_tool_invocations"


def test_a_place_of_the_user_needs_a_tool_that_asks_for_it():
    google = {"retrieval_config": {"language_code": "de"}}
    call, notes = ask(google=google)
    assert "toolConfig" not in call.body
    assert list(notes.dropped) == ["google.retrieval_config"]
