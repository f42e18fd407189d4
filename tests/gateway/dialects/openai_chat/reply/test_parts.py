import orjson
import pytest

from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
)

THOUGHT = {"text": "hm\n", "thought": True}


def test_thoughts_and_text_are_told_apart_in_order_with_their_newlines():
    """Seen elsewhere: thoughts were lost or mixed into the answer, newlines were dropped."""
    parts = [THOUGHT, {"text": "\n", "thought": True}, "\n", "Red", {**THOUGHT, "text": "so"}, "."]
    assert deltas(run(make_reply(), [event(*parts), stop()])) == [
        {"reasoning_content": "hm\n"},
        {"reasoning_content": "\n"},
        {"content": "\n"},
        {"content": "Red"},
        {"reasoning_content": "so"},
        {"content": "."},
    ]


def test_thoughts_that_nobody_asked_for_are_not_shown():
    reply = make_reply(thoughts=False)
    assert deltas(run(reply, [event(THOUGHT), stop("Red")])) == [{"content": "Red"}]


def test_an_empty_text_is_no_delta():
    assert (
        deltas(run(make_reply(), [event(""), event({"text": "", "thought": True}), stop("")])) == []
    )


@pytest.mark.parametrize("part", [{}, {"thought": True}, {"text": None}, {"functionCall": None}])
def test_a_part_without_data_is_nothing_and_is_not_remembered(part):
    """Gemini refuses a request with such a part."""
    reply = make_reply()
    assert deltas(run(reply, [event(part), stop({"executableCode": {"code": "1"}}, ".")]))[1:] == [
        {"content": "."}
    ]
    [(_, entry)] = reply.memories()
    assert [*orjson.loads(entry)["t"][0]] == ["executableCode"]


def test_a_signature_without_data_is_that_of_an_empty_text():
    reply = make_reply()
    assert deltas(run(reply, [event("Hi"), stop({"thoughtSignature": "c2ln"})])) == [
        {"content": "Hi"}
    ]
    [(_, entry)] = reply.memories()
    assert orjson.loads(entry)["t"][-1] == {"text": "", "thoughtSignature": "c2ln"}


def test_a_signed_text_is_text():
    signed = {"text": "Hi", "thoughtSignature": "c2ln"}
    empty = {"text": "", "thoughtSignature": "c2ln"}
    assert deltas(run(make_reply(), [event(signed), stop(empty)])) == [{"content": "Hi"}]


@pytest.mark.parametrize(
    "part",
    [
        {"toolCall": {"toolType": "FILE_SEARCH", "id": "t1"}, "thoughtSignature": "c2ln"},
        {"toolResponse": {"toolType": "FILE_SEARCH", "id": "t1"}},
        {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.org/v"}},
        {"fileData": {"fileUri": "https://example.org/v"}},
        {"somethingNew": {"a": 1}},
    ],
)
def test_a_part_without_a_word_of_openais_goes_out_as_it_came(part):
    assert message([event(part), stop("x")])["native_parts"] == [part]


def test_only_a_stream_counts_native_parts():
    """OpenAI's own client joins lists by index."""
    parts = [{"partOfTomorrow": {"a": 1}}, {"toolResponse": {"id": "a"}}]
    chunks = run(make_reply(), [event(parts[0]), stop(parts[1])])
    native_parts = [delta["native_parts"] for delta in deltas(chunks)]
    assert native_parts == [[{**parts[0], "index": 0}], [{**parts[1], "index": 1}]]
    assert message([stop(*parts)])["native_parts"] == parts
