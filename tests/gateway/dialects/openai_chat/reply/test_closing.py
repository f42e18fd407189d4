import pytest

from gateway.errors import UpstreamEmpty, UpstreamTruncated
from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
    whole,
)

CALL = {"functionCall": {"name": "f"}}


def last(chunks):
    return chunks[-1]["choices"][0]


def test_the_finish_reason_comes_once_and_in_a_chunk_of_its_own():
    """Seen elsewhere: a finish reason in every chunk, or beside the last text."""
    chunks = run(make_reply(), [event("a"), event(CALL), stop("b")])
    ends = [choice for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert ends == [last(chunks)]
    assert ends[0]["delta"] == {}


def test_text_behind_a_stop_and_in_the_last_event_is_delivered():
    """Seen elsewhere: what came with or after the finish reason was lost."""
    chunks = run(make_reply(), [stop(""), event("late"), stop("r")])
    assert "".join(delta["content"] for delta in deltas(chunks)) == "later"


def test_the_last_native_reason_wins():
    assert last(run(make_reply(), [stop("a"), event(finishReason="RECITATION")])) == {
        "index": 0,
        "delta": {},
        "finish_reason": "content_filter",
        "native_finish_reason": "RECITATION",
    }


def test_an_abrupt_end_is_an_error():
    """Seen elsewhere: a stream that was cut ended in `stop`."""
    for events in ([], [event("a")], [event("a"), {"usageMetadata": {"promptTokenCount": 1}}]):
        with pytest.raises(UpstreamTruncated):
            run(make_reply(), events)


@pytest.mark.parametrize("stream", [False, True])
def test_code_that_was_never_run_is_an_abrupt_end_if_the_body_was_broken(stream):
    """Gemini says STOP with code that it is about to run; the answer comes after it."""
    reply = make_reply(stream=stream)
    reply.feed(stop({"executableCode": {"code": "1"}}))
    with pytest.raises(UpstreamTruncated):
        reply.finish(broken=True)


def test_code_that_was_never_run_since_the_length_was_reached_is_an_end():
    code = {"executableCode": {"code": "1"}}
    assert last(run(make_reply(), [event(code, finishReason="MAX_TOKENS")]))["finish_reason"] == (
        "length"
    )


@pytest.mark.parametrize(
    ("part", "payload", "word"),
    [
        (CALL, {"functions": [{"name": "f"}]}, "function_call"),
        (CALL, {}, "tool_calls"),
        ("a", {"functions": [{"name": "f"}]}, "stop"),
    ],
)
def test_an_end_with_a_call_is_told_in_the_form_that_was_asked_for(part, payload, word):
    assert last(run(make_reply(payload), [stop(part)]))["finish_reason"] == word


def test_what_an_answer_is_continued_with_is_told_at_its_end():
    end = last(run(make_reply(), [event("a", finishReason="CONTINUATION", continuationToken="t")]))
    assert (end["finish_reason"], end["continuation_token"]) == ("length", "t")


@pytest.mark.parametrize("stream", [False, True])
def test_code_at_the_end_of_an_answer_is_its_end(stream):
    """Nothing can come after it. A stream with this end had failed, a whole answer had not."""
    reply = make_reply(stream=stream)
    answer = reply.collect(run(reply, [stop("hi", {"executableCode": {"code": "1"}})]))
    assert answer["choices"][0]["finish_reason"] == reply.finish_reason == "stop"
    assert answer["choices"][0]["message"]["content"] == "hi\n\n```python\n1\n```\n"


def test_a_length_without_parts_is_an_empty_answer():
    """Seen elsewhere: MAX_TOKENS without parts crashed."""
    empty = {
        "candidates": [{"finishReason": "MAX_TOKENS"}],
        "usageMetadata": {"promptTokenCount": 5},
    }
    answer = whole([empty])
    [choice] = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
    assert answer["usage"]["prompt_tokens"] == 5


@pytest.mark.parametrize(
    ("feedback", "native", "says"),
    [
        ({"blockReason": "SAFETY"}, "SAFETY", "Gemini withheld the answer: SAFETY."),
        ({"blockReason": "MODEL_ARMOR", "blockReasonMessage": "No."}, "MODEL_ARMOR", "No."),
        ({"blockReasonMessage": "Reasons"}, "BLOCKED", "Reasons"),
        ({"blockReason": "FAKE_NEW", "safetyRatings": None}, "FAKE_NEW", "FAKE_NEW"),
    ],
)
@pytest.mark.parametrize("candidates", [{}, {"candidates": []}, {"candidates": None}])
def test_a_blocked_prompt_is_a_refusal(feedback, native, says, candidates):
    """Seen elsewhere: nothing was told, or the stream did not end."""
    reply = make_reply({"stream_options": {"include_usage": True}})
    blocked = {**candidates, "promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 4}}
    role, refused, end, usage = run(reply, [blocked])
    assert role["choices"][0]["delta"]["role"] == "assistant"
    assert says in refused["choices"][0]["delta"]["refusal"]
    assert end["choices"][0]["finish_reason"] == "content_filter"
    assert end["choices"][0]["native_finish_reason"] == native
    assert usage["usage"]["prompt_tokens"] == 4
    assert message([blocked])["content"] is None


def test_feedback_that_blocks_nothing_is_nothing():
    for feedback in ({"safetyRatings": []}, None):
        assert message([{**stop("a"), "promptFeedback": feedback}])["content"] == "a"


def test_a_stop_after_a_blocked_prompt_does_not_replace_its_reason():
    [choice] = whole([{"promptFeedback": {"blockReason": "SAFETY"}}, stop()])["choices"]
    assert choice["message"]["refusal"] == "Gemini withheld the answer: SAFETY."
    assert choice["native_finish_reason"] == "SAFETY"


def test_a_withheld_answer_keeps_its_text_and_says_why():
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "blocked": True}]
    ending = event(finishReason="SAFETY", safetyRatings=ratings)
    [choice] = whole([event("So far"), ending])["choices"]
    assert choice["message"]["content"] == "So far"
    assert choice["message"]["refusal"] == "Gemini withheld the answer: SAFETY (HARASSMENT)."
    assert choice["safety_ratings"] == ratings


def test_how_gemini_rates_an_answer_or_a_blocked_prompt_is_told_at_the_end():
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]
    assert last(run(make_reply(), [stop("a", safetyRatings=ratings)]))["safety_ratings"] == ratings
    feedback = {"blockReason": "SAFETY", "safetyRatings": ratings}
    [choice] = whole([{"promptFeedback": feedback}])["choices"]
    assert choice["safety_ratings"] == ratings


@pytest.mark.parametrize(
    ("given", "told"), [(-0.25, -0.25), (-1, -1), ("-Infinity", None), ([1], None)]
)
def test_the_average_of_the_log_probabilities_is_told_at_the_end(given, told):
    """201 recorded answers have it, most without any other log probability."""
    events = [event("a"), stop("b", avgLogprobs=given)]
    assert last(run(make_reply(), events)).get("avg_logprobs") == told
    [choice] = whole(events)["choices"]
    assert choice.get("avg_logprobs") == told


def test_giving_up_with_nothing_is_an_error_and_with_something_an_answer():
    """Seen elsewhere: an image model that drew nothing."""
    with pytest.raises(UpstreamEmpty, match="NO_IMAGE"):
        run(make_reply(), [event(finishReason="NO_IMAGE")])
    end = last(
        run(make_reply(), [event("I cannot.", finishReason="NO_IMAGE", finishMessage="Why")])
    )
    assert (end["finish_reason"], end["native_finish_reason"]) == ("stop", "NO_IMAGE")
    assert end["finish_message"] == "Why"


def test_an_empty_stop_is_marked():
    """Seen elsewhere: an empty answer that claims to be complete."""
    assert last(run(make_reply(), [stop()]))["finish_message"] == "Gemini ended without any output."
    assert "finish_message" not in last(run(make_reply(), [stop("a")]))


def test_an_empty_text_with_a_signature_is_an_empty_answer():
    part = {"text": "", "thoughtSignature": "c2ln"}
    end = last(run(make_reply(), [stop(part)]))
    assert end["finish_message"] == "Gemini ended without any output."
    with pytest.raises(UpstreamEmpty, match="NO_IMAGE"):
        run(make_reply(), [event(part, finishReason="NO_IMAGE")])


def test_sound_that_goes_out_as_it_came_is_no_empty_answer():
    part = {"inlineData": {"mimeType": "audio/ogg", "data": "AAAA"}}
    for reason in ("STOP", "NO_IMAGE"):
        end = last(run(make_reply(), [event(part, finishReason=reason)]))
        assert (end["finish_reason"], "finish_message" in end) == ("stop", False)


def test_a_malformed_call_is_told_with_its_text():
    """Seen elsewhere: the answer was empty and said nothing of why."""
    ending = event(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="call:f(x")
    end = last(run(make_reply(), [ending]))
    assert (end["finish_reason"], end["finish_message"]) == ("stop", "call:f(x")
    assert end["native_finish_reason"] == "MALFORMED_FUNCTION_CALL"
