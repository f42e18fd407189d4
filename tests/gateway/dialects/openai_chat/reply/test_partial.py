import orjson
import pytest

from gateway.errors import UpstreamError
from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
)


def begin(name="cook", **fields):
    return {"functionCall": {"name": name, "willContinue": True, **fields}}


def piece(path, *, last=False, **value):
    going = {} if last else {"willContinue": True}
    return {"functionCall": {"partialArgs": [{"jsonPath": path, **value}], **going}}


END = {"functionCall": {}}


def arguments(*parts):
    calls = message([*map(event, parts), stop()])["tool_calls"]
    return [orjson.loads(tool_call["function"]["arguments"]) for tool_call in calls]


def test_pieces_become_one_whole_call():
    parts = [
        begin(id="n1"),
        piece("$.dish", stringValue="las"),
        piece("$.dish", stringValue="agna"),
        piece("$.dish", stringValue=""),
        piece("$.steps[1].minutes", numberValue=5),
        piece("$.steps[0]['the text']", stringValue="boil"),
        piece("$.hot", boolValue=True),
        piece("$.sauce", nullValue=None),
        END,
    ]
    steps = [{"the text": "boil"}, {"minutes": 5}]
    assert arguments(*parts) == [{"dish": "lasagna", "steps": steps, "hot": True, "sauce": None}]


@pytest.mark.parametrize("null", [None, "NULL_VALUE"])
def test_null_is_null_whatever_tells_it(null):
    assert arguments(begin(), piece("$.a", nullValue=null), END) == [{"a": None}]


def test_a_piece_without_a_value_ends_a_string():
    assert arguments(begin(), piece("$.a", stringValue="x"), piece("$.a"), END) == [{"a": "x"}]


def test_a_signature_may_come_with_any_piece():
    signed = {**piece("$.a", numberValue=1), "thoughtSignature": "c2ln"}
    [answer] = message([event(begin()), event(signed), event(END), stop()])["tool_calls"]
    assert answer["extra_content"] == {"google": {"thought_signature": "c2ln"}}


def test_nothing_goes_out_before_the_last_piece():
    reply = make_reply()
    assert len(reply.feed(event(begin()))) == 1
    assert reply.feed(event(piece("$.a", stringValue="x"))) == []
    assert reply.feed(event(piece("$.b", numberValue=1, last=True))) != []


def test_the_next_call_ends_the_one_before():
    assert arguments(begin(), piece("$.a", numberValue=1), begin("b"), END) == [{"a": 1}, {}]


def test_the_end_of_the_reply_ends_the_call():
    assert arguments(begin(), piece("$.a", numberValue=1)) == [{"a": 1}]


def test_an_end_without_a_beginning_is_nothing_and_a_lone_piece_is_kept():
    lone = piece("$.a", numberValue=1)
    assert deltas(run(make_reply(), [event(END, lone), stop("x")])) == [
        {"native_parts": [{**lone, "index": 0}]},
        {"content": "x"},
    ]


@pytest.mark.parametrize("path", ["$.a[999999999]", "$.a.b.c"])
def test_a_path_that_makes_no_sense_is_an_upstream_error(path):
    reply = make_reply()
    reply.feed(event(begin(), piece("$.a.b", stringValue="x")))
    with pytest.raises(UpstreamError):
        reply.feed(event(piece(path, stringValue="x")))
