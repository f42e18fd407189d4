"""Gemini's finish reasons, in OpenAI's vocabulary."""

from collections.abc import Sequence

from gateway.exchange import Json
from gateway.wire.endings import SLIPPED

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

# How the gateway's own refusals begin: no words of Gemini's.
WITHHELD = "Gemini withheld the answer: "


def finish_reason(native: str, *, calls: bool) -> str:
    """Return OpenAI's finish reason for *native*; *calls* tells whether functions were called."""
    if native in _FILTERED:
        return "content_filter"
    if native in _LENGTH:
        return "length"
    return "tool_calls" if calls and native not in SLIPPED else "stop"


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
