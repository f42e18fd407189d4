"""Function names."""

import pytest

from gateway.dialects.openai_chat.names import wire_name
from tests.gateway.dialects.openai_chat.asking import ask, function


@pytest.mark.parametrize("name", ["a b", "1st", "汉字", "x" * 65, "a/b", ""])
def test_names_that_gemini_refuses_are_made_valid_and_can_be_restored(name):
    made = wire_name(name)
    assert wire_name(made) == made
    if name:
        asked, _ = ask(tools=[function(name)])
        assert asked.names == {made: name}


def test_a_repaired_name_is_the_same_in_choice_and_history():
    asked, _ = ask(
        tools=[function("a b")],
        tool_choice={"type": "function", "function": {"name": "a b"}},
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "a b"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "ok"},
        ],
    )
    name = wire_name("a b")
    made = asked.body
    assert made["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [name]
    assert made["contents"][1]["parts"][0]["functionCall"]["name"] == name
    assert made["contents"][2]["parts"][0]["functionResponse"]["name"] == name
