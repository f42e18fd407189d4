import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamError, UpstreamTruncated
from gateway.sse import SSEDecoder, frame


def decode(*pieces, **options):
    decoder = SSEDecoder(**options)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


STREAMS = [
    (
        "Gemini's own form",
        b'data: {"a": 1}\r\n\r\ndata: {"b": 2}\r\n\r\n',
        [b'{"a": 1}', b'{"b": 2}'],
    ),
    ("line feeds", b'data: {"a":1}\n\ndata: {"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
    ("carriage returns", b'data: {"a":1}\r\rdata: {"b":2}\r\r', [b'{"a":1}', b'{"b":2}']),
    ("mixed ends", b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\n", [b"1", b"2", b"3"]),
    ("no blank", b"data:1\n\n", [b"1"]),
    ("only one blank goes", b'data:  "x"\n\n', [b' "x"']),
    ("several data lines", b'data: {"a":\r\ndata: 1}\r\n\r\n', [b'{"a":\n1}']),
    ("comments", b": keepalive\r\n\r\ndata: 1\r\n: within\r\n\r\n:\n", [b"1"]),
    ("other fields", b"event: x\nid: 7\nretry: 10\nfoo\ndata: 1\n\n", [b"1"]),
    ("empty data", b"data:\n\ndata\n\ndata: 1\n\n", [b"1"]),
    ("a BOM", b"\xef\xbb\xbfdata: 1\n\n", [b"1"]),
    ("no end", b"data: 1\n\ndata: 2", [b"1", b"2"]),
    ("one end of line", b"data: 1\n\ndata: 2\n", [b"1", b"2"]),
    (
        "bare JSON at the end",
        b'data: 1\r\n\r\n{"error": {"code": 503}}',
        [b"1", b'{"error": {"code": 503}}'],
    ),
    (
        "bare JSON over lines",
        b'data: 1\r\n\r\n[{\n  "error": {\n    "code": 503\n  }\n}\n]\n',
        [b"1", b'[{\n  "error": {\n    "code": 503\n  }\n}\n]'],
    ),
    ("bare JSON between", b'{"error": 1}\ndata: 2\n\n', [b'{"error": 1}', b"2"]),
    ("bare JSON, blank line", b'{"error": 1}\n\ndata: 2\n\n', [b'{"error": 1}', b"2"]),
    ("nothing", b"", []),
    ("a page", b"<html>\n<body>502</body>\n</html>\n", []),
    ("a multi-byte character", 'data: "é漢🙂"\r\n\r\n'.encode(), ['"é漢🙂"'.encode()]),
]


@pytest.mark.parametrize(
    ("stream", "events"), [s[1:] for s in STREAMS], ids=[s[0] for s in STREAMS]
)
def test_a_stream_gives_the_same_events_whole_and_byte_by_byte(stream, events):
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events


@given(st.lists(st.sampled_from([s[1] for s in STREAMS[:9]]), max_size=6), st.randoms())
def test_any_cut_gives_the_same_events(streams, rng):
    stream = b"".join(streams)
    places = sorted(rng.choices(range(len(stream) + 1), k=5))
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    assert decode(*pieces) == decode(stream)


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_give_the_same_however_they_are_cut(pieces):
    def decoded(*given_pieces):
        try:
            return decode(*given_pieces)
        except UpstreamTruncated:
            return "truncated"

    assert decoded(*pieces) == decoded(b"".join(pieces))


def test_the_end_of_a_line_may_be_cut_in_two():
    assert decode(b"data: 1\r", b"\n\r", b"\ndata: 2\r\n\r\n") == [b"1", b"2"]


def test_an_event_that_follows_a_lone_return_is_still_whole():
    assert decode(b"data: 1\n\r", b"data: 2\r\n\r\n") == [b"1", b"2"]


def test_a_line_end_within_an_event_is_seen_by_the_quick_way():
    assert decode(b'data: {"a":\r\ndata: 1}\r\n\r\n') == [b'{"a":\n1}']


def test_a_stream_that_ends_within_an_event_is_truncated():
    decoder = SSEDecoder()
    assert decoder.feed(b'data: {"a": "b') == []
    with pytest.raises(UpstreamTruncated):
        decoder.finish()


def test_an_event_beyond_the_limit_is_refused():
    decoder = SSEDecoder(max_event_bytes=100)
    with pytest.raises(UpstreamError, match="larger"):
        decoder.feed(b"data: 0123456789\n" * 20)


def test_the_limit_is_on_one_event_and_not_on_the_stream():
    stream = b"data: 0123456789\n\n: a comment\nid: 1\n" * 50
    assert len(decode(stream[:7], stream[7:], max_event_bytes=100)) == 50


def test_an_event_of_ten_megabytes_takes_linear_time():
    """Every byte is looked at a few times, not once for each of the 1,000 reads before it."""
    event = b'data: "' + b"A" * 10_000_000 + b'"\r\n\r\n'
    decoder, events = SSEDecoder(), []
    for start in range(0, len(event), 10_000):
        events += decoder.feed(event[start : start + 10_000])
        assert sum(map(len, decoder._line)) <= start + 10_000
    assert [len(one) for one in events] == [10_000_002]


def test_random_cuts_within_large_events_lose_nothing():
    rng = random.Random(3)
    payloads = [b'"' + bytes([65 + n]) * rng.randint(1, 200_000) + b'"' for n in range(8)]
    stream = b"".join(b"data: " + payload + b"\r\n\r\n" for payload in payloads)
    pieces, start = [], 0
    while start < len(stream):
        size = rng.randint(1, 70_000)
        pieces.append(stream[start : start + size])
        start += size
    assert decode(*pieces) == payloads


def test_a_frame_is_read_back_as_it_was():
    assert frame(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert decode(frame(b'{"a":1}')) == [b'{"a":1}']
