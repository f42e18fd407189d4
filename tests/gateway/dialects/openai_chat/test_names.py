"""Function names."""

import pytest

from gateway.dialects.openai_chat.names import wire_name
from tests.gateway.dialects.openai_chat.asking import ask, function


@pytest.mark.parametrize("name", ["a b", "1st", "汉字", "x" * 65, "a/b", ""])
def test_names_that_gemini_refuses_are_made_valid_and_can_be_restored(name):
    valid = wire_name(name)
    assert wire_name(valid) == valid
    if name:
        call, _ = ask(tools=[function(name)])
        assert call.names == {valid: name}


def test_a_repaired_name_is_the_same_in_choice_and_history():
    call, _ = ask(
        tools=[function("a b")],
        tool_choice={"type": "function", "function": {"name": "a b"}},
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "a b"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "ok"},
        ],
    )
    name = wire_name("a b")
    sent = call.body
    assert sent["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [name]
    assert sent["contents"][1]["parts"][0]["functionCall"]["name"] == name
    assert sent["contents"][2]["parts"][0]["functionResponse"]["name"] == name
