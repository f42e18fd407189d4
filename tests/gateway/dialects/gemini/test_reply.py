import pytest

from gateway.dialects.gemini import DIALECT
from gateway.errors import UpstreamError, UpstreamTruncated
from gateway.exchange import Known, UpstreamCall

USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def reply(action="generateContent", *, stream=True, **body):
    call = UpstreamCall("m", body, stream=stream, action=action, verbatim=True)
    return DIALECT.reply(call, {}, Known(exchange_id="x"))


def event(**fields):
    return {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, **fields}]}


def test_an_event_passes_as_it_came_and_is_read():
    native_reply, sent = (
        reply(),
        {**event(finishReason="STOP"), "usageMetadata": USAGE, "other": [1]},
    )
    assert native_reply.usage is None
    chunks = native_reply.feed(sent)
    assert chunks == [sent]
    assert native_reply.collect(chunks) is sent
    assert native_reply.finish() == []
    assert (native_reply.usage.total, native_reply.finish_reason) == (5, "STOP")
    assert native_reply.memories() == []


def test_searches_are_counted_once_for_each_candidate():
    one, searched = reply(), {"webSearchQueries": ["a", "b"], "groundingChunks": []}
    one.feed({**event(groundingMetadata=searched), "usageMetadata": USAGE})
    one.feed({**event(groundingMetadata={}), "usageMetadata": USAGE})
    one.feed(event(groundingMetadata=searched))
    one.feed(event(groundingMetadata={"webSearchQueries": ["c"]}, index=1))
    one.feed(event(groundingMetadata={"webSearchQueries": ["d"]}, index=1))
    assert one.usage.searches == 4
    assert one.usage.total == 5


@pytest.mark.parametrize("odd", [[], "x", 1, {"webSearchQueries": "ab"}, {"webSearchQueries": 2}])
def test_odd_metadata_tells_of_no_search(odd):
    one = reply()
    one.feed({**event(groundingMetadata=odd), "usageMetadata": USAGE})
    assert one.usage.searches == 0


def test_frames_end_as_googles_do():
    assert reply().encode([{"a": 1}, {"b": 2}]) == b'data: {"a":1}\r\n\r\ndata: {"b":2}\r\n\r\n'


def test_what_says_nothing_is_an_empty_line():
    one = reply()
    assert one.encode(one.open()) == one.encode([DIALECT.keepalive]) == b"\r\n"


def test_a_stream_without_a_reason_to_end_was_cut():
    one, whole = reply(), reply(stream=False)
    one.feed(event())
    with pytest.raises(UpstreamTruncated):
        one.finish()
    whole.feed(event())
    assert whole.finish() == []


def test_a_prompt_that_is_only_rated_is_no_end():
    one = reply()
    one.feed({**event(), "promptFeedback": {"safetyRatings": [{"probability": "NEGLIGIBLE"}]}})
    with pytest.raises(UpstreamTruncated):
        one.finish()


def test_a_refused_prompt_is_an_end():
    one = reply()
    one.feed({"promptFeedback": {"blockReason": "SAFETY"}})
    assert one.finish() == []
    assert one.finish_reason is None


def test_the_reason_is_that_of_the_first_candidate():
    one = reply()
    one.feed({"candidates": [{"finishReason": "MAX_TOKENS", "index": 1}, {"finishReason": "STOP"}]})
    assert one.finish_reason == "STOP"


def test_other_actions_end_without_a_reason():
    one = reply("countTokens", stream=False, contents=[])
    one.feed({"totalTokens": 5})
    assert one.finish() == []
    assert one.usage is None


@pytest.mark.parametrize("action", ["embedContent", "batchEmbedContents"])
def test_the_tokens_of_vectors_are_estimated_unless_they_are_told(action):
    one = reply(action, content={"parts": [{"text": "a" * 400}]})
    assert one.usage is None, "no vector came yet"
    one.feed({"embedding": {"values": [1.0]}})
    assert one.usage.prompt == one.usage.total > 100
    one.feed({"embedding": {}, "usageMetadata": {"promptTokenCount": 7}})
    assert one.usage.prompt == 7


def test_the_end_of_a_model_is_told():
    one = reply()
    assert one.model is None
    one.feed({**event(), "modelStatus": {"retirementTime": "2027-03-15T00:00:00Z"}})
    one.feed({**event(), "modelVersion": "models/gemini-2.5-pro"})
    assert one.model == "gemini-2.5-pro"
    assert one.sunset == "Mon, 15 Mar 2027 00:00:00 GMT"


@pytest.mark.parametrize(
    "strange", [{"candidates": 5}, {"candidates": [5]}, {"modelStatus": 5}, {"candidates": [None]}]
)
def test_a_strange_event_is_an_upstream_error(strange):
    with pytest.raises(UpstreamError):
        reply().feed(strange)


@pytest.mark.parametrize("metadata", [5, [], {"promptTokenCount": "x"}, {"promptTokensDetails": 5}])
def test_strange_counts_count_nothing(metadata):
    one = reply()
    one.feed({**event(), "usageMetadata": metadata})
    assert one.usage is None or one.usage.total == 0
