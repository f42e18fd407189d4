import re

import orjson
import pytest

from gateway.dialects.openai_chat.reply.calls import function_call
from tests.gateway.dialects.openai_chat.reply.test_choice import make_choice
from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
    whole,
)


def call(name="get_weather", **fields):
    return {"functionCall": {"name": name, **fields}}


def test_a_call_goes_out_whole_in_one_delta():
    [delta] = deltas(run(make_reply(), [stop(call(args={"city": "Köln"}, id="n1"))]))
    function = {"name": "get_weather", "arguments": '{"city":"Köln"}'}
    tool_call = {"index": 0, "id": "call_n1", "type": "function", "function": function}
    assert delta == {"tool_calls": [tool_call]}


def test_parallel_calls_have_their_own_index_and_id():
    """Seen elsewhere: calls of one answer, in one event or several, were joined into one entry."""
    events = [event(call("a"), call("a", args={"x": 1})), event(call("b")), stop("")]
    calls = [delta["tool_calls"][0] for delta in deltas(run(make_reply(), events))]
    assert [tool_call["index"] for tool_call in calls] == [0, 1, 2]
    assert len({tool_call["id"] for tool_call in calls}) == 3
    assert [orjson.loads(tool_call["function"]["arguments"]) for tool_call in calls] == [
        {},
        {"x": 1},
        {},
    ]


def test_ids_are_unique_over_the_conversation():
    """The same request id and second give new ids, a native id is not used twice."""
    first = message([stop(call(), call())])["tool_calls"]
    history = {"messages": [{"role": "assistant", "tool_calls": first}, {"role": "user"}]}
    second = message([stop(call(), call(id=first[0]["id"]), call(id="new"))], history)["tool_calls"]
    ids = [tool_call["id"] for tool_call in (*first, *second)]
    assert len(set(ids)) == 5
    assert ids[-1] == "call_new"


class Unread(list):
    """Calls that may be added to and counted, but not looked through."""

    def __iter__(self):
        raise AssertionError("the calls were looked through")


def test_earlier_calls_are_not_looked_through_for_each_call():
    """A model that repeated a call thousands of times stopped the process for seconds."""
    choice = make_choice()
    choice.calls = Unread()
    made = [function_call(choice, call(id="n1")) for _ in range(9)]
    assert len({delta["tool_calls"][0]["id"] for [delta] in made}) == len(choice.calls) == 9


def test_a_native_id_that_comes_twice_names_one_call():
    first, second = message([stop(call(id="n1"), call(id="n1"))])["tool_calls"]
    assert first["id"] == "call_n1"
    assert second["id"] not in {"n1", "call_n1"}


@pytest.mark.parametrize("native", [None, "n1", "call_n1", "n" * 36, "call_" + "n" * 36])
def test_ids_have_the_form_of_openais(native):
    """Agno gives ids of another form new ones, under which no signature is remembered."""
    [tool_call] = message([stop(call(id=native))])["tool_calls"]
    assert re.fullmatch(r"call_\w{1,35}", tool_call["id"])


def test_a_made_id_that_is_taken_already_is_made_anew():
    def id_after(taken):
        history = [{"role": "assistant", "tool_calls": [{"id": taken}]}]
        return message([stop(call())], {"messages": history})["tool_calls"][0]["id"]

    assert id_after(id_after("another")) != id_after("another")


def test_names_that_gemini_would_not_take_come_back_as_they_were():
    reply = make_reply(names={"get_weather": "get weather!"})
    [delta] = deltas(run(reply, [stop(call())]))
    assert delta["tool_calls"][0]["function"]["name"] == "get weather!"


def test_a_signature_is_told_as_google_tells_it():
    [tool_call] = message([stop({**call(), "thoughtSignature": "c2ln"})])["tool_calls"]
    assert tool_call["extra_content"] == {"google": {"thought_signature": "c2ln"}}


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"input": "SELECT 1"}, "SELECT 1"),
        ({"a": "x", "b": 2}, '{"a":"x","b":2}'),
        ({"input": 5}, '{"input":5}'),
    ],
)
def test_a_free_text_tool_is_called_with_its_text(args, text):
    payload = {"tools": [{"type": "custom", "custom": {"name": "sql"}}]}
    [tool_call] = message([stop(call("sql", args=args))], payload)["tool_calls"]
    assert tool_call == {
        "id": tool_call["id"],
        "type": "custom",
        "custom": {"name": "sql", "input": text},
    }


def test_a_client_of_functions_gets_a_function_call():
    answer = whole(
        [stop(call(args={"a": 1}), call("other"))], {"functions": [{"name": "get_weather"}]}
    )
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "get_weather", "arguments": '{"a":1}'}
    # There is no second place in the old form.
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "other"


@pytest.mark.parametrize(
    "last",
    [stop(""), stop(), {"candidates": [{"finishReason": "STOP"}]}],
)
def test_a_call_before_the_event_that_stops_still_ends_in_tool_calls(last):
    """Seen elsewhere: a call without finish reason, then an empty STOP, was told as `stop`."""
    chunks = run(make_reply(), [event(call()), last])
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["tool_calls"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_an_answer_of_calls_alone_has_no_content():
    assert message([stop(call())])["content"] is None
    assert message([stop("Let me see.", call())])["content"] == "Let me see."
