import pytest

from gateway.wire.endings import is_blocked, is_failed, native_reason, worth_retrying
from tests.gateway.dialects.openai_chat.replying import event, stop

# In the order of the API's protocol buffers, from 1.
NUMBERED = (
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)


@pytest.mark.parametrize(
    ("value", "native"),
    [
        (None, None),
        ("", None),
        (0, None),
        ("FINISH_REASON_UNSPECIFIED", None),
        *enumerate(NUMBERED, 1),
        (99, "99"),
        ("NEW_ONE", "NEW_ONE"),
    ],
)
def test_a_native_reason_is_a_word_whatever_it_was(value, native):
    assert native_reason(value) == native


def test_only_giving_up_without_blame_is_a_failure():
    assert is_failed("NO_IMAGE")
    assert not is_failed("STOP")


@pytest.mark.parametrize(
    ("feedback", "blocked"),
    [
        (None, False),
        ({"safetyRatings": []}, False),
        ({"blockReason": 0}, False),
        ({"blockReason": "BLOCK_REASON_UNSPECIFIED"}, False),
        ({"blockReason": "BLOCKED_REASON_UNSPECIFIED"}, False),
        ({"blockReason": "NEW_ONE"}, True),
        ({"blockReasonMessage": "no"}, True),
    ],
)
def test_only_a_reason_blocks_a_prompt(feedback, blocked):
    assert is_blocked(feedback) is blocked


CALL = {"functionCall": {"name": "f"}}
THOUGHT = {"text": "hm", "thought": True}


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (stop(), "empty_answer"),
        (stop(""), "empty_answer"),
        (stop(THOUGHT), "empty_answer"),
        (stop({"text": "", "thoughtSignature": "s"}), "empty_answer"),
        (stop({}), "empty_answer"),
        (stop({"text": None}), "empty_answer"),
        (stop({"thoughtSignature": "s"}), "empty_answer"),
        ({"candidates": [{"finishReason": "STOP"}]}, "empty_answer"),
        (event(finishReason="OTHER"), "empty_answer"),
        ({"usageMetadata": {"promptTokenCount": 3}}, "empty_answer"),
        ({"candidates": []}, "empty_answer"),
        (event(finishReason="MALFORMED_FUNCTION_CALL"), "malformed_function_call"),
        (event(CALL, finishReason="UNEXPECTED_TOOL_CALL"), "unexpected_tool_call"),
        (stop("text"), None),
        (stop(CALL), None),
        (event("text", finishReason="OTHER"), None),
        (event(finishReason="MAX_TOKENS"), None),
        (event(finishReason="SAFETY"), None),
        (event(""), None),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, None),
        ({"candidates": "no"}, None),
        ({"candidates": {"a": 1}}, None),
        ({"candidates": [None]}, None),
        ([], None),
        ({"candidates": [{"finishReason": "STOP"}, {"finishReason": "STOP"}]}, None),
    ],
)
def test_an_empty_or_slipped_answer_is_worth_another_try(first, reason):
    assert worth_retrying(first) == reason
