import random
from contextlib import suppress

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.dialects.openai_chat import turns
from gateway.errors import (
    GatewayError,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamTruncated,
)
from gateway.sse import SSEDecoder
from gateway.wire.endings import worth_retrying
from tests.gateway.dialects.openai_chat.recorded import SHARED, replies
from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    frames,
    make_reply,
    message,
    run,
    stop,
    whole,
)

USAGE = {"stream_options": {"include_usage": True}}
CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}


def test_a_text_reply_begins_with_the_role_and_ends_with_an_empty_delta():
    chunks = run(make_reply(), [event("Hel"), stop("lo", index=0)])
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, "stop"]


def test_a_reply_may_be_opened_before_its_first_event():
    reply = make_reply()
    [role] = reply.open()
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert reply.open() == []
    assert reply.feed(event("a"))[0]["choices"][0]["delta"] == {"content": "a"}


def test_an_opened_reply_that_ends_at_once_is_truncated():
    reply = make_reply()
    reply.open()
    with pytest.raises(UpstreamTruncated):
        reply.finish()


def test_every_candidate_is_a_choice_with_its_own_role_and_end():
    both = {"candidates": [event("a")["candidates"][0], event("b", index=1)["candidates"][0]]}
    reply = make_reply()
    chunks = run(reply, [both, stop("A", index=0), event("B", index=1, finishReason="MAX_TOKENS")])
    answer = reply.collect(chunks)
    ends = [(one["message"]["content"], one["finish_reason"]) for one in answer["choices"]]
    assert ends == [("aA", "stop"), ("bB", "length")]
    assert deltas(chunks, 1) == [{"content": "b"}, {"content": "B"}]


def test_a_candidate_that_did_not_end_makes_the_reply_truncated():
    reply = make_reply()
    reply.feed(event("b", index=1))
    reply.feed(stop("a", index=0))
    assert reply.finish_reason is None
    with pytest.raises(UpstreamTruncated):
        reply.finish()


def test_the_finish_reason_is_that_of_the_first_choice_whichever_came_first():
    reply = make_reply()
    reply.feed(event("b", index=1, finishReason="MAX_TOKENS"), stop("a"))
    assert reply.finish_reason == "stop"


def test_the_finish_reason_is_known_as_soon_as_gemini_gave_it():
    reply = make_reply()
    assert reply.finish_reason is None
    reply.feed(event(CALL))
    assert reply.finish_reason is None
    reply.feed(stop(""))
    assert reply.finish_reason == "tool_calls"


def test_usage_is_told_once_and_only_when_asked_for():
    counts = [{"usageMetadata": {"promptTokenCount": 3, "totalTokenCount": n}} for n in (4, 9)]
    events = [event("a") | counts[0], stop("b") | counts[1]]
    *_, end, last = run(make_reply(USAGE), events)
    assert end["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 9)
    assert not any("usage" in chunk for chunk in run(make_reply(), events))
    assert whole(events)["usage"]["total_tokens"] == 9


def test_usage_of_an_event_that_cannot_be_understood_is_counted():
    reply = make_reply()
    with pytest.raises(UpstreamError):
        reply.feed({"candidates": [5], "usageMetadata": {"totalTokenCount": 9}})
    assert reply.usage.total == 9


def test_usage_of_a_reply_that_was_cut_is_that_of_its_last_event():
    """Seen elsewhere: aborted streams were not counted."""
    reply = make_reply()
    assert reply.usage is None
    reply.feed(event("a") | {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}})
    assert (reply.usage.prompt, reply.usage.completion, reply.usage.total) == (3, 2, 5)


def test_thoughts_and_cached_tokens_are_counted_in_both_forms():
    """Seen elsewhere: reasoning tokens were missing, cached tokens always 0."""
    counts = {"promptTokenCount": 9, "cachedContentTokenCount": 8, "thoughtsTokenCount": 7}
    events = [stop("a") | {"usageMetadata": {**counts, "candidatesTokenCount": 1}}]
    *_, last = run(make_reply(USAGE), events)
    assert last["usage"] == whole(events)["usage"]
    assert last["usage"]["completion_tokens"] == 8
    assert last["usage"]["completion_tokens_details"]["reasoning_tokens"] == 7
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 8


def test_the_cost_is_told_where_the_price_is_known():
    events = [stop("a") | {"usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2}}]
    known = {"cost": lambda used: used.prompt * 0.25 + used.completion}
    assert whole(events, **known)["usage"]["cost"] == 3.0
    assert run(make_reply(USAGE, **known), events)[-1]["usage"]["cost"] == 3.0
    assert "cost" not in whole(events)["usage"]


def test_an_answer_without_counts_has_no_usage():
    *_, last = run(make_reply(USAGE), [stop("a")])
    assert last == {"choices": []}
    assert "usage" not in whole([stop("a")])


@pytest.mark.parametrize("payload", [{}, USAGE])
def test_a_stream_names_the_tier_that_served_it_with_and_without_usage(payload):
    events = [stop("a") | {"usageMetadata": {"promptTokenCount": 1, "serviceTier": "flex"}}]
    *earlier, end = run(make_reply(payload), events)
    assert end["service_tier"] == whole(events, payload)["service_tier"] == "flex"
    assert not any("service_tier" in chunk for chunk in earlier)


@pytest.mark.parametrize("payload", [{}, USAGE])
def test_all_frames_have_the_same_facts_and_are_what_the_sdk_takes(payload):
    reply = make_reply(payload)
    counts = {"usageMetadata": {"promptTokenCount": 1}}
    sent_frames = frames(reply.encode(run(reply, [event("a\u2028"), stop(CALL) | counts])))
    facts = ("id", "object", "created", "model", "system_fingerprint")
    assert len({tuple(one[fact] for fact in facts) for one in sent_frames}) == 1
    assert sent_frames[0]["id"] == "chatcmpl-x1"
    assert sent_frames[0]["created"] == 1_700_000_000
    assert sent_frames[0]["model"] == "gemini-2.5-flash"
    assert all(ChatCompletionChunk.model_validate(one, strict=True) for one in sent_frames)
    assert [one.get("usage", "absent") for one in sent_frames[:-1]] == (
        [None] * (len(sent_frames) - 1) if payload else ["absent"] * (len(sent_frames) - 1)
    )


def test_the_usage_frame_has_its_usage_once():
    reply = make_reply(USAGE)
    data = reply.encode([{"choices": [], "usage": {"total_tokens": 1}}])
    assert data.count(b'"usage"') == 1
    assert make_reply().encode([]) == b""


def test_an_error_within_an_event_is_raised():
    """Seen elsewhere: an error body in mid-stream was swallowed."""
    reply = make_reply()
    reply.feed(event("a"))
    with pytest.raises(UpstreamOverloaded, match="overloaded"):
        reply.feed({"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}})


def test_the_retirement_of_a_model_is_told_as_an_http_date():
    reply = make_reply()
    assert reply.sunset is None
    reply.feed(event("a") | {"modelStatus": {"retirementTime": "2027-03-15T00:00:00Z"}})
    assert reply.sunset == "Mon, 15 Mar 2027 00:00:00 GMT"
    reply.feed(stop() | {"modelStatus": None})


def test_what_the_next_turn_needs_is_remembered():
    """Seen elsewhere: a signature that the client does not send back was lost."""
    reply = make_reply()
    signed = {**CALL, "thoughtSignature": "c2ln"}
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "aW1n"}
    chunks = run(
        reply, [event("Hi ", image), event({"text": "x", "thoughtSignature": "dHh0"}), stop(signed)]
    )
    reply_message = reply.collect(chunks)["choices"][0]["message"]
    memories = dict(reply.memories())
    kept = turns.read_entry(memories, turns.call_key(reply_message["tool_calls"][0]["id"]))
    assert kept == {"s": "c2ln", "m": "gemini-2.5-flash"}
    drawn = turns.image_key("AAAA")
    assert turns.read_entry(memories, drawn) == {"s": "aW1n", "m": "gemini-2.5-flash"}
    turn = [
        {"text": "Hi "},
        {"image": 0},
        {"text": "x", "thoughtSignature": "dHh0"},
        {"call": 0},
    ]
    reply_message = turns.read_entry(memories, turns.text_key("Hi x", [drawn]))
    assert reply_message == {"t": turn, "m": "gemini-2.5-flash"}


def test_a_signature_of_three_megabytes_is_kept_whole():
    """Seen elsewhere: a signature of a megabyte was truncated."""
    signature = "A" * 3_000_000
    data = b"data: " + orjson.dumps(stop({**CALL, "thoughtSignature": signature})) + b"\r\n\r\n"
    decoder = SSEDecoder()
    reply = make_reply()
    events = [
        one for n in range(0, len(data), 65_536) for one in decoder.feed(data[n : n + 65_536])
    ]
    run(reply, map(orjson.loads, events))
    [(_, entry)] = reply.memories()
    assert orjson.loads(entry)["s"] == signature


BROKEN = [
    {"candidates": "text"},
    {"candidates": [None]},
    {"candidates": [{"content": []}, 5]},
    {"candidates": [{"content": {"parts": ["text"]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": ["x"]}}]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": True}}]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": ["x"]}}]}}]},
    {"candidates": [{"content": {"parts": [{"text": {"a": 1}, "thought": True}]}}]},
    {"candidates": [{"logprobsResult": {"chosenCandidates": [{"logProbability": {"a": 1}}]}}]},
    {"candidates": [{"content": {"parts": [{"inlineData": {}}]}}]},
    {"candidates": [{"index": [1]}]},
    {"candidates": [{"index": "1"}]},
    {"promptFeedback": "no"},
    [],
]


@pytest.mark.parametrize("broken", BROKEN)
def test_an_event_of_an_unknown_shape_is_an_upstream_error(broken):
    with pytest.raises(UpstreamError):
        make_reply().feed(broken)


def test_usage_of_an_unknown_shape_counts_for_nothing():
    reply = make_reply(USAGE)
    chunks = run(reply, [stop("a") | {"usageMetadata": ["promptTokenCount"]}])
    assert reply.usage is None
    assert chunks[-1] == {"choices": []}


@pytest.mark.parametrize("chunks", [5, [{"web": {"uri": 5}}], [{"web": {"title": True}}]])
def test_metadata_of_an_unknown_shape_is_an_upstream_error(chunks):
    with pytest.raises(UpstreamError):
        run(make_reply(), [stop("a", groundingMetadata={"groundingChunks": chunks})])


def test_a_date_that_no_calendar_has_is_none():
    reply = make_reply()
    retirement = {"retirementTime": "0001-01-01T00:00:00+23:59"}
    run(reply, [stop("a") | {"modelStatus": retirement}])
    assert reply.sunset is None


def nested(depth):
    value = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "one",
    [
        event({"new": nested(400)}),
        event({"functionCall": {"name": "f", "args": {"a": nested(400)}}}),
        event({"functionCall": {"name": "f"}, "thoughtSignature": nested(400)}),
        event({"executableCode": {"code": "1", "id": nested(400)}}),
        stop("a", groundingMetadata={"new": nested(400)}),
        stop("a", citationMetadata={"citations": [{"title": nested(400)}]}),
        stop("a", finishMessage=nested(400)),
    ],
)
def test_what_nests_too_deep_to_be_sent_is_refused_or_told_as_text(one):
    """JSON of upstream may nest 1,024 deep, what goes out only 254."""
    reply = make_reply()
    with suppress(UpstreamError):
        chunks = run(reply, [one, stop(".")])
        orjson.dumps(reply.collect(chunks))
        assert reply.encode(chunks)


def test_a_turn_that_cannot_be_written_down_is_not_remembered():
    reply = make_reply()
    run(reply, [event({"executableCode": {"code": "1", "new": nested(400)}}), stop("a")])
    assert reply.memories() == []


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "candidates",
                    "content",
                    "parts",
                    "text",
                    "functionCall",
                    "name",
                    "index",
                    "finishReason",
                    "inlineData",
                    "mimeType",
                    "groundingMetadata",
                    "usageMetadata",
                    "promptFeedback",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_whatever_upstream_sends_nothing_but_our_own_errors_come_out(value):
    reply = make_reply()
    for one in (value, {"candidates": [value]}, {"candidates": [{"content": {"parts": [value]}}]}):
        worth_retrying(one)
        try:
            reply.encode(reply.feed(one))
        except GatewayError:
            continue
    state = (reply.usage, reply.finish_reason, reply.memories())
    assert len(state) == 3
    with suppress(GatewayError):
        orjson.dumps(reply.collect(reply.finish()))


def wire(events):
    return b"".join(b"data: " + orjson.dumps(one) + b"\r\n\r\n" for one in events)


def cuts(data, sizes):
    position = 0
    for size in sizes:
        yield data[position : position + size]
        position += size
    yield data[position:]


def outcome(pieces):
    """Return all that a client would see of the reply that *pieces* carry."""
    reply, decoder, chunks = make_reply(USAGE), SSEDecoder(), []
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


def parts_of(events):
    """Yield (candidate index, part) of all parts of *events*."""
    for one in events:
        for candidate in one.get("candidates") or ():
            for part in (candidate.get("content") or {}).get("parts") or ():
                yield candidate.get("index") or 0, part


def test_a_reply_comes_out_the_same_however_it_is_cut():
    """Seen elsewhere: JSON that was split over reads, even within a letter, broke the stream."""
    code = {"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}
    data = wire(
        [event("漢字 🙂"), event({"text": "hm", "thought": True}), event(*code), stop(CALL)]
    )
    first = outcome([data])
    assert first[1] is None
    assert outcome(data[n : n + 1] for n in range(len(data))) == first


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded replies are not in this checkout")
def test_every_recorded_reply_comes_out_right_however_it_is_cut(capsys):
    """Whole, byte by byte and with random cuts; one finish reason a choice, all text, right usage."""
    rng, failures, replayed = random.Random(7), [], 0
    for name, events in replies():
        data = wire(events)
        first = outcome([data])
        sizes = [rng.randint(1, 4000) for _ in range(len(data) // 2000)]
        assert outcome(cuts(data, sizes)) == first, name
        assert outcome(data[n : n + 1] for n in range(len(data))) == first, name
        if first[1] is None:
            check_recorded(events, first[0], first[2])
        else:
            failures.append(name)
        replayed += 1
    with capsys.disabled():
        print(f"\n{replayed} recorded replies replayed, {len(failures)} of them without an end")
    assert replayed > 850
    assert len(failures) < 10, failures


def check_recorded(events, chunks, answer):
    facts = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for chunk in chunks:
        ChatCompletionChunk.model_validate({**facts, **chunk})
    ChatCompletion.model_validate(answer)
    ends = [one["index"] for chunk in chunks for one in chunk["choices"] if one["finish_reason"]]
    assert sorted(ends) == [one["index"] for one in answer["choices"]]
    for choice in answer["choices"]:
        check_choice([part for index, part in parts_of(events) if index == choice["index"]], choice)
    check_usage(events, answer)


def check_choice(parts, choice):
    answer = choice["message"]
    text = "".join(part["text"] for part in parts if part.get("text") and not part.get("thought"))
    thoughts = "".join(part["text"] for part in parts if part.get("text") and part.get("thought"))
    inserted = any({"executableCode", "inlineData"} & part.keys() for part in parts)
    if not inserted:
        assert (answer["content"] or "") == text
    assert answer.get("reasoning_content", "") == thoughts
    names = [p["functionCall"]["name"] for p in parts if p.get("functionCall", {}).get("name")]
    assert [call["function"]["name"] for call in answer.get("tool_calls", ())] == names
    assert len({call["id"] for call in answer.get("tool_calls", ())}) == len(names)
    code = [part for part in parts if {"executableCode", "codeExecutionResult"} & part.keys()]
    assert len(answer.get("code_execution", ())) == len(code)
    for annotation in answer.get("annotations", ()):
        place = annotation["url_citation"]
        assert 0 <= place["start_index"] <= place["end_index"] <= len(answer["content"])


def check_usage(events, answer):
    last = [one["usageMetadata"] for one in events if one.get("usageMetadata")][-1:]
    if not last:
        assert "usage" not in answer
        return
    metadata = {name: value for name, value in last[0].items() if isinstance(value, int)}
    usage = answer["usage"]
    count = metadata.get
    assert usage["prompt_tokens"] == count("promptTokenCount", 0) + count(
        "toolUsePromptTokenCount", 0
    )
    completion = count("candidatesTokenCount", 0) + count("thoughtsTokenCount", 0)
    assert usage["completion_tokens"] == completion
    assert usage["total_tokens"] == count("totalTokenCount", usage["prompt_tokens"] + completion)


def test_an_answer_says_what_its_message_is():
    answer = whole([stop("Hi")])
    assert answer["object"] == "chat.completion"
    assert message([stop("Hi")]) == {"role": "assistant", "content": "Hi", "refusal": None}
