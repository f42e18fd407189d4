import random

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.dialects.openai_chat.reply import ChatReply
from gateway.errors import GatewayError, UpstreamTruncated
from gateway.exchange import Known, UpstreamCall
from gateway.sse import SSEDecoder

from .recorded import SHARED, replies


def make_reply(payload=None, *, thoughts=True, **call):
    body = {"generationConfig": {"thinkingConfig": {"includeThoughts": thoughts}}}
    payload = {"model": "gemini-2.5-flash", "messages": [], **(payload or {})}
    call = UpstreamCall(**{"model": payload["model"], "body": body, "stream": True, **call})
    return ChatReply(call, payload, Known("x1", created=1_700_000_000))


def run(reply, events):
    chunks = [chunk for event in events for chunk in reply.feed(event)]
    return chunks + reply.finish()


def text_event(text, **candidate):
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **candidate}]}


def test_a_text_reply_begins_with_the_role_and_ends_with_an_empty_delta():
    reply = make_reply()
    chunks = run(reply, [text_event("Hel"), text_event("lo", finishReason="STOP", index=0)])
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, "stop"]


def test_a_stream_without_a_finish_reason_is_an_error_and_never_a_stop():
    with pytest.raises(UpstreamTruncated):
        run(make_reply(), [text_event("Hel")])


def wire(events):
    return b"".join(b"data: " + orjson.dumps(event) + b"\r\n\r\n" for event in events)


def cuts(data, sizes):
    position = 0
    for size in sizes:
        if position >= len(data):
            return
        yield data[position : position + size]
        position += size
    yield data[position:]


def outcome(pieces):
    """Give everything a client would see of the reply that *pieces* carry."""
    reply, decoder, chunks = (
        make_reply({"stream_options": {"include_usage": True}}),
        SSEDecoder(),
        [],
    )
    try:
        for piece in pieces:
            for data in decoder.feed(piece):
                chunks += reply.feed(orjson.loads(data))
        for data in decoder.finish():
            chunks += reply.feed(orjson.loads(data))
        chunks += reply.finish()
    except GatewayError as error:
        return chunks, error.code, None
    return chunks, None, reply.collect(chunks)


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded replies are not in this checkout")
def test_every_recorded_reply_comes_out_the_same_however_it_is_cut(capsys):
    """Whole, byte by byte and with random cuts; one finish reason a choice, all text, right usage."""
    rng, whole_ones, failed = random.Random(7), 0, 0
    for name, events in replies():
        data = wire(events)
        first = outcome([data])
        sizes = [rng.randint(1, 4000) for _ in range(len(data) // 2000 + 1)]
        assert outcome(cuts(data, sizes)) == first, name
        if len(data) < 20_000:
            assert outcome(data[i : i + 1] for i in range(len(data))) == first, name
        failed += first[1] is not None
        if first[1] is None:
            check_recorded(events, *first[::2])
        whole_ones += 1
    with capsys.disabled():
        print(f"\n{whole_ones} recorded replies replayed, {failed} of them failures")
    assert whole_ones > 850


def check_recorded(events, chunks, whole):
    for chunk in chunks:
        facts = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        ChatCompletionChunk.model_validate({**facts, **chunk})
    ChatCompletion.model_validate(whole)
    reasons = [c["index"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
    assert sorted(reasons) == sorted(set(reasons)) == [c["index"] for c in whole["choices"]]
