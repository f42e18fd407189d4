"""Gemini's finish reasons, in OpenAI's vocabulary."""

from collections.abc import Sequence

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

_LENGTH = frozenset({"MAX_TOKENS", "CONTINUATION"})
_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "ESCALATION",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
        "PUP_LIMITED_DISABLED",
    }
)
# Gemini gave up without giving a reason; without content there is nothing to relay.
_FAILED = frozenset({"OTHER", "IMAGE_OTHER", "NO_IMAGE"})
# The model made a mistake; repeating the request often succeeds.
_SLIPPED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)

# How the gateway's own refusals begin: no words of Gemini's.
WITHHELD = "Gemini withheld the answer: "
# What stands beside the data of a part.
_BESIDE = frozenset({"thought", "thoughtSignature"})


def native_reason(value: object) -> str | None:
    """Return Gemini's finish reason as a word; None if *value* is none."""
    return None if value in _UNSET else _NAMES.get(value, str(value))


def finish_reason(native: str, *, calls: bool) -> str:
    """Return OpenAI's finish reason for *native*; *calls* tells whether functions were called."""
    if native in _FILTERED:
        return "content_filter"
    if native in _LENGTH:
        return "length"
    return "tool_calls" if calls and native not in _SLIPPED else "stop"


def is_failed(native: str) -> bool:
    """Tell whether *native* is an error when the candidate has no content."""
    return native in _FAILED


def is_blocked(feedback: Json | None) -> bool:
    """Tell whether *feedback* means that Gemini refused the prompt, instead of only rating it."""
    if not feedback:
        return False
    return feedback.get("blockReason") not in _UNBLOCKED or bool(feedback.get("blockReasonMessage"))


def refusal(native: str, message: object, ratings: Sequence[Json]) -> str:
    """Return one or two sentences on why Gemini withheld an answer."""
    blamed = [
        str(rating.get("category", "")).removeprefix("HARM_CATEGORY_")
        for rating in ratings
        if rating.get("blocked")
    ]
    text = f"{WITHHELD}{native}"
    if blamed:
        text += f" ({', '.join(blamed)})"
    return f"{text}. {message}" if message else f"{text}."


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
    if native in _SLIPPED:
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
