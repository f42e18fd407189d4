import base64
import math
import struct

import pytest

from gateway.dialects.openai_embeddings import DIALECT
from gateway.errors import BadRequest, UpstreamError
from gateway.exchange import Known
from tests.gateway.dialects.openai_embeddings.asking import MODEL, ask


def collected(*events, **fields):
    """Return the answer that *events* make to a request with *fields*."""
    payload, call, _ = ask(**fields)
    reply = DIALECT.reply(call, payload, Known(exchange_id="x"))
    for event in events:
        assert reply.feed(event) == []
    return reply, reply.collect(reply.finish())


def vectors(*values, **more):
    return {"embeddings": [{"values": list(one)} for one in values], **more}


def test_the_vectors_come_in_the_order_of_the_texts():
    _, body = collected(vectors([1, 2], [3, 4]), input=["a", "b"])
    assert body["object"] == "list"
    assert body["model"] == MODEL
    assert body["data"] == [
        {"object": "embedding", "index": 0, "embedding": [1, 2]},
        {"object": "embedding", "index": 1, "embedding": [3, 4]},
    ]


def test_calls_that_end_in_another_order_are_put_in_theirs():
    texts = ["a"] * 101
    later, first = vectors([9.0], index=1), vectors(*[[1.0]] * 100, index=0)
    _, body = collected(later, first, input=texts)
    assert [one["embedding"] for one in body["data"]] == [[1.0]] * 100 + [[9.0]]
    assert [one["index"] for one in body["data"]] == list(range(101))


def test_base64_holds_small_floats_with_the_low_byte_first():
    _, body = collected(vectors([0.5, -2.0]), encoding_format="base64")
    raw = base64.b64decode(body["data"][0]["embedding"])
    assert raw == struct.pack("<2f", 0.5, -2.0)


@pytest.mark.parametrize("fields", [{"dimensions": 2}, {"google": {"output_dimensionality": 2}}])
def test_a_shortened_vector_has_the_length_of_one(fields):
    _, body = collected(vectors([3.0, 4.0]), **fields)
    assert math.hypot(*body["data"][0]["embedding"]) == pytest.approx(1)
    _, body = collected(vectors([0.0, 0.0]), **fields)
    assert body["data"][0]["embedding"] == [0.0, 0.0]


def test_a_whole_vector_stays_as_it_is():
    _, body = collected(vectors([3.0, 4.0]))
    assert body["data"][0]["embedding"] == [3.0, 4.0]


def test_tokens_are_counted_by_gemini_or_estimated():
    reply, body = collected(vectors([1.0], [1.0]), input=["a" * 400, "b"])
    assert body["usage"] == {"prompt_tokens": 101, "total_tokens": 101}
    assert reply.usage is not None
    assert (reply.usage.prompt, reply.usage.completion) == (101, 0)
    _, body = collected(vectors([1.0], usageMetadata={"promptTokenCount": 7}))
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


def test_nothing_was_used_before_the_first_vector():
    payload, call, _ = ask()
    reply = DIALECT.reply(call, payload, Known(exchange_id="x"))
    assert reply.usage is None
    assert reply.finish_reason is None
    assert reply.memories() == reply.open() == []
    assert reply.encode([]) == b""
    assert DIALECT.memory_keys(payload, {}) == DIALECT.lost_keys(payload, {}) == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"embeddings": None},
        {"embeddings": [{}]},
        {"embeddings": [{"values": ["x"]}]},
        {"embeddings": [{"values": [None]}]},
        vectors([]),
        vectors([1.0], [2.0]),
        vectors(),
    ],
)
def test_what_holds_no_vector_for_each_text_is_an_error(event):
    with pytest.raises(UpstreamError):
        collected(event)


def test_errors_are_openais():
    error = BadRequest("no", param="input")
    assert DIALECT.render(error)["error"]["param"] == "input"
    assert b"data: " in DIALECT.encode_error(error)


def test_each_call_has_as_many_vectors_as_texts():
    """Else vectors would stand beside the texts of another call."""
    parts = vectors(*[[1.0]] * 99, index=0), vectors(*[[1.0]] * 101, index=1)
    with pytest.raises(UpstreamError):
        collected(*parts, input=["a"] * 200)


def test_a_number_that_no_small_float_holds_is_an_upstream_error():
    with pytest.raises(UpstreamError):
        collected(vectors([1e300]), encoding_format="base64")


@pytest.mark.parametrize("metadata", [5, [], {"promptTokenCount": "x"}])
def test_strange_counts_are_passed_over(metadata):
    _, body = collected(vectors([1.0], usageMetadata=metadata))
    assert body["usage"]["prompt_tokens"] == 1


def test_a_vector_that_was_not_shortened_is_not_touched():
    vector = [0.6, 0.8 + 1e-9]
    _, body = collected(vectors(vector), dimensions=2)
    assert body["data"][0]["embedding"] == vector
