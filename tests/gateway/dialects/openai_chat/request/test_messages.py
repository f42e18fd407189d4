"""Messages as contents and system instruction."""

from tests.gateway.dialects.openai_chat.asking import (
    ask,
    assistant,
    body,
    call,
    contents,
    result,
    user,
)


def roles(sent):
    return [one["role"] for one in sent]


def parts(sent, at=-1):
    return sent[at]["parts"]


def test_system_and_developer_texts_are_the_instruction_in_order():
    sent = body(
        messages=[
            {"role": "system", "content": "a"},
            user("Hi"),
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        ]
    )
    assert sent["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_a_model_without_system_instruction_gets_it_in_the_first_turn():
    messages = [{"role": "system", "content": "Be kind."}, user("Hi")]
    call, notes = ask(model="gemma-3-27b-it", messages=messages)
    assert call.body["contents"] == [
        {"role": "user", "parts": [{"text": "Be kind."}, {"text": "Hi"}]}
    ]
    assert "systemInstruction" not in call.body
    assert notes.adjusted == {"system": "user;reason=model"}


def test_consecutive_turns_of_one_role_are_one_turn():
    sent = contents(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert roles(sent) == ["user", "model", "user"]
    assert parts(sent, 0) == [{"text": "a"}, {"text": "b"}]


def test_empty_texts_are_left_out_and_a_space_stands_for_nothing():
    sent = contents(user(""), assistant(""), user([{"type": "text", "text": ""}]))
    assert sent == [{"role": "user", "parts": [{"text": " "}]}]


def test_a_conversation_that_begins_with_the_model_gets_a_blank_turn_before_it():
    sent = contents(assistant("Hello"), user("Hi"))
    assert roles(sent) == ["user", "model", "user"]
    assert parts(sent, 0) == [{"text": " "}]


def test_a_conversation_that_ends_with_the_model_is_continued_on_request():
    call, notes = ask(messages=[user("Hi"), assistant("Once upon")])
    assert roles(call.body["contents"]) == ["user", "model", "user"]
    assert "messages[1]" in notes.adjusted


def test_results_are_one_turn_in_the_order_of_the_calls_with_names_from_the_ids():
    sent = contents(
        user("Hi"),
        assistant(None, call("1", "a", '{"x":1}'), call("2", "b")),
        result("2", "two"),
        result("1", '{"n":1}'),
    )
    assert roles(sent) == ["user", "model", "user"]
    assert [part["functionResponse"] for part in parts(sent)] == [
        {"name": "a", "response": {"n": 1}},
        {"name": "b", "response": {"output": "two"}},
    ]
    assert parts(sent, 1)[0]["functionCall"] == {"name": "a", "args": {"x": 1}}


def test_turns_of_calls_in_a_row_are_one_turn_before_their_results():
    sent = contents(
        user("Hi"),
        assistant(None, call("1", "a")),
        assistant(None, call("2", "b")),
        result("1", "one"),
        result("2", "two"),
    )
    assert roles(sent) == ["user", "model", "user"]
    assert [part["functionCall"]["name"] for part in parts(sent, 1)] == ["a", "b"]
    assert [part["functionResponse"]["name"] for part in parts(sent)] == ["a", "b"]


def test_a_result_before_its_call_is_not_the_result_of_it():
    sent = contents(
        user("Hi"), result("1", "old"), assistant(None, call("1", "a")), result("1", "new")
    )
    [part] = parts(sent)
    assert part["functionResponse"]["response"] == {"output": "new"}


def test_a_result_without_a_name_answers_the_call_before_it():
    sent = contents(
        user("Hi"),
        assistant(None, function_call={"name": "f", "arguments": "{}"}),
        {"role": "function", "content": "ok"},
    )
    assert parts(sent) == [{"functionResponse": {"name": "f", "response": {"output": "ok"}}}]


def test_only_names_of_speakers_are_noted():
    messages = [
        user("Hi") | {"name": ""},
        assistant(None, function_call={"name": "f", "arguments": "{}"}),
        {"role": "function", "name": "f", "content": "ok"},
    ]
    assert not ask(messages=messages)[1].dropped


def test_an_orphaned_call_gets_a_result_that_says_so():
    upstream_call, notes = ask(
        messages=[user("Hi"), assistant(None, call("1", "a")), user("Well?")]
    )
    sent = upstream_call.body["contents"]
    assert roles(sent) == ["user", "model", "user", "user"]
    assert parts(sent, 2) == [
        {"functionResponse": {"name": "a", "response": {"error": "no result"}}}
    ]
    assert notes.adjusted == {"messages[1].tool_calls[0]": "answered;reason=no_result"}


def test_an_orphaned_result_becomes_text():
    call, notes = ask(messages=[user("Hi"), result("9", "lost")])
    assert parts(call.body["contents"])[1:] == [{"text": "Result of 9:"}, {"text": "lost"}]
    assert "messages[1]" in notes.adjusted


def test_a_late_result_is_told_where_its_call_stands():
    sent = contents(
        user("Hi"), assistant(None, call("1", "a")), user("Wait"), result("1", "ok"), user("Go")
    )
    assert roles(sent) == ["user", "model", "user", "user"]
    assert parts(sent, 2)[0]["functionResponse"]["response"] == {"output": "ok"}


def test_calls_with_the_same_id_get_their_results_in_order():
    sent = contents(
        user("Hi"),
        assistant(None, call("1", "a"), call("1", "a")),
        result("1", "x"),
        result("1", "y"),
    )
    outputs = [part["functionResponse"]["response"]["output"] for part in parts(sent)]
    assert outputs == ["x", "y"]


def test_an_id_that_comes_again_in_a_later_turn_is_another_call():
    sent = contents(
        user("Hi"),
        assistant(None, call("1", "a")),
        result("1", "x"),
        assistant(None, call("1", "b")),
        result("1", "y"),
    )
    assert parts(sent)[0]["functionResponse"] == {"name": "b", "response": {"output": "y"}}


def test_legacy_function_messages_are_matched_by_name():
    sent = contents(
        user("Hi"),
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
    )
    assert parts(sent) == [{"functionResponse": {"name": "f", "response": {"output": "42"}}}]


def test_names_of_participants_are_told_of_once():
    """A note for each message of a long history would leave no room for other notes."""
    named = [{"role": role, "content": "Hi", "name": "n"} for role in ("system", "user", "user")]
    _, notes = ask(messages=[user("Hi"), *named])
    assert list(notes.dropped) == ["messages[1].name"]


def test_a_legacy_call_beside_others_is_the_first_of_them():
    """So the gateway tells of several calls to a client of functions."""
    legacy = {"name": "f", "arguments": '{"a":1}'}
    sent = contents(
        user("Hi"),
        {**assistant(None, call("2", "g")), "function_call": legacy},
        {"role": "function", "name": "f", "content": "x"},
        result("2", "y"),
    )
    calls = [part["functionCall"]["name"] for part in sent[1]["parts"]]
    answers = [part["functionResponse"]["response"] for part in sent[2]["parts"]]
    assert (calls, answers) == (["f", "g"], [{"output": "x"}, {"output": "y"}])
