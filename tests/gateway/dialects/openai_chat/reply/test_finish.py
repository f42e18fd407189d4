import pytest

from gateway.dialects.openai_chat.reply.finish import finish_reason, refusal

REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "SPII"), "content_filter"),
    **dict.fromkeys(("PROHIBITED_CONTENT", "ESCALATION", "MODEL_ARMOR"), "content_filter"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"), "content_filter"),
    **dict.fromkeys(("IMAGE_RECITATION", "PUP_LIMITED_DISABLED"), "content_filter"),
    **dict.fromkeys(("OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_FUNCTION_CALL"), "stop"),
    **dict.fromkeys(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"), "stop"),
    **dict.fromkeys(("MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "FAKE_ENUM"), "stop"),
}


@pytest.mark.parametrize(("native", "word"), REASONS.items())
def test_every_native_reason_has_one_of_openais_words(native, word):
    assert finish_reason(native, calls=False) == word


@pytest.mark.parametrize(
    ("native", "word"),
    [
        ("STOP", "tool_calls"),
        ("FAKE_ENUM", "tool_calls"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("UNEXPECTED_TOOL_CALL", "stop"),
    ],
)
def test_calls_make_a_good_end_a_call_for_tools(native, word):
    assert finish_reason(native, calls=True) == word


def test_a_refusal_names_what_was_blamed():
    ratings = [
        {"category": "HARM_CATEGORY_HARASSMENT", "blocked": True},
        {"category": "HARM_CATEGORY_HATE_SPEECH"},
    ]
    assert refusal("SAFETY", None, ratings) == "Gemini withheld the answer: SAFETY (HARASSMENT)."
    assert refusal("SPII", "Reasons", []) == "Gemini withheld the answer: SPII. Reasons"
