"""How Gemini's answers end: finish reasons, blocked prompts, and ends that are worth a retry."""

from gateway.exchange import Json

# The numbers are those of the API's protocol buffers, which a client of the API may request.
_NAMES: dict[object, str] = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "LANGUAGE",
    7: "BLOCKLIST",
    8: "PROHIBITED_CONTENT",
    9: "SPII",
    10: "MALFORMED_FUNCTION_CALL",
    11: "IMAGE_SAFETY",
    12: "UNEXPECTED_TOOL_CALL",
    13: "TOO_MANY_TOOL_CALLS",
}
_UNSET = frozenset({None, 0, "", "FINISH_REASON_UNSPECIFIED"})
# The last one is the spelling of google-genai 3.4.
_UNBLOCKED = frozenset({None, 0, "", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})
# Gemini gave up without giving a reason; without content there is nothing to relay.
_FAILED = frozenset({"OTHER", "IMAGE_OTHER", "NO_IMAGE"})
# The model made a mistake; repeating the request often succeeds.
SLIPPED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
# What stands beside the data of a part.
_BESIDE = frozenset({"thought", "thoughtSignature"})


def native_reason(value: object) -> str | None:
    """Return Gemini's finish reason as a word; None if *value* is none."""
    return None if value in _UNSET else _NAMES.get(value, str(value))


def is_failed(native: str) -> bool:
    """Tell whether *native* is an error when the candidate has no content."""
    return native in _FAILED


def is_blocked(feedback: Json | None) -> bool:
    """Tell whether *feedback* means that Gemini refused the prompt, instead of only rating it."""
    if not feedback:
        return False
    return feedback.get("blockReason") not in _UNBLOCKED or bool(feedback.get("blockReasonMessage"))


def worth_retrying(event: Json) -> str | None:
    """Return why the reply that consists of *event* alone is worth a retry; None if it is not.

    Such a reply is empty although Gemini calls it complete, or ended with a mistake of the model.
    Events of an unknown shape are left to the translator, which refuses them.
    """
    try:
        return _weakness(event)
    except (AttributeError, KeyError, TypeError):
        return None


def _weakness(event: Json) -> str | None:
    candidates = event.get("candidates")
    if not candidates:
        return None if is_blocked(event.get("promptFeedback")) else "empty_answer"
    if len(candidates) != 1:
        return None
    native = native_reason(candidates[0].get("finishReason"))
    if native in SLIPPED:
        return native.lower()
    for part in (candidates[0].get("content") or {}).get("parts") or ():
        if _says_something(part):
            return None
    return "empty_answer" if native == "STOP" or native in _FAILED else None


def is_empty(part: Json) -> bool:
    """Tell whether *part* holds nothing but what is said of a part."""
    return all(value is None or name in _BESIDE for name, value in part.items())


def _says_something(part: Json) -> bool:
    if text := part.get("text"):
        return not part.get("thought")
    return text is None and not is_empty(part)
