"""Calls that come back without their ids; `test_assistant` has what concerns the whole turn."""

import orjson

from gateway.dialects.openai_chat import turns
from gateway.dialects.openai_chat.request import past_calls
from tests.gateway.dialects.openai_chat.asking import ask, assistant, call, result, user

CUSTOM = {"type": "custom", "custom": {"name": "c", "input": "free"}}


def remembered(parts, calls, messages):
    """Return what an answer to *messages* that made these *calls* leaves."""
    origin = turns.Origin(occasion=turns.occasion(messages, len(messages)))
    return dict(turns.memory_entries(parts, "", calls, origin=origin))


def test_the_legacy_call_comes_first():
    message = {"function_call": {"name": "a"}, "tool_calls": [call("1", "b")]}
    names = [one["function"]["name"] for one in past_calls.tool_calls(message)]
    assert names == ["a", "b"]
    assert past_calls.tool_calls({"tool_calls": None, "function_call": None}) == []


def test_only_calls_that_are_not_known_by_their_ids_are_asked_for_again():
    messages = [user("Hi"), assistant(None, call("1", "f"), call("2", "f"), CUSTOM)]
    lost = past_calls.lost_keys(messages, 1, {turns.call_key("2"): b"{}"})
    occasion = turns.occasion(messages, 1)
    assert lost == [
        turns.nameless_key(occasion, 0, "f", {}),
        turns.nameless_key(occasion, 2, "c", {"input": "free"}),
    ]


def test_a_call_without_its_id_has_signature_and_native_id_again():
    made = {"id": "n1", "name": "c", "args": {"input": "free"}}
    part = {"functionCall": made, "thoughtSignature": "c2ln"}
    memories = remembered([part], [{"id": "call_n1"}], [user("Hi")])
    messages = [user("Hi"), assistant(None, {**CUSTOM, "id": "other"}), result("other", "ok")]
    sent, _ = ask(messages=messages, memories=memories)
    assert sent.body["contents"][1]["parts"] == [part]
    assert sent.body["contents"][2]["parts"][0]["functionResponse"]["id"] == "n1"


def test_what_is_known_by_the_id_counts_before_what_is_known_by_the_place():
    part = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "YQ=="}
    memories = remembered([part], [{}], [user("Hi")])
    memories[turns.call_key("1")] = orjson.dumps({"s": "Yg=="})
    for call_id, signature in {"1": "Yg==", "2": "YQ=="}.items():
        messages = [user("Hi"), assistant(None, call(call_id, "f"))]
        sent, _ = ask(messages=messages, memories=memories)
        assert sent.body["contents"][1]["parts"][0]["thoughtSignature"] == signature
