"""Google's error envelope: the error object of a body, and the meaning of its details.

Shapes seen: `{"error": {...}}`, the same as a one-element list, an event in mid-stream. `details`
name the quota (`QuotaFailure`), the delay (`RetryInfo`), the reason (`ErrorInfo`) and the fields at
fault (`BadRequest`). Keys occur in Google's own messages ("Consumer 'api_key:AIza...' has been
suspended"), so every message is redacted by value before it goes anywhere.
"""

import re
from collections.abc import Callable
from math import inf

import orjson

from gateway.exchange import Json

MAX_MESSAGE = 2048

_RETRY_TEXT = re.compile(r"retry in ([0-9.]+)\s*s", re.IGNORECASE)
# Quoted text is the client's: Gemini repeats values and names that it cannot read.
_QUOTED = re.compile(r'".*', re.DOTALL)

Redact = Callable[[str], str]


class GoogleError:
    """Google's error object, its details sorted by kind; *status* is HTTP's.

    *delay* is in seconds; *quotas* are the ids of those used up, *fields* the paths at fault.
    """

    __slots__ = ("delay", "fields", "message", "quotas", "reasons", "status", "unquoted")

    def __init__(self, error: Json, status: int, redact: Redact) -> None:
        self.status = status
        self.message = redact(str(error.get("message") or ""))[:MAX_MESSAGE]
        # The message without its quotations from the request; verdicts on a key rely on this one.
        self.unquoted = _QUOTED.sub("", self.message)
        self.delay: float | None = None
        self.quotas: list[str] = []
        self.reasons: set[str] = set()
        self.fields: list[str] = []
        details = error.get("details")
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict):
                self._take(detail)
        if not self.delay:
            self.delay = _delay_in(self.message)

    def _take(self, detail: Json) -> None:
        kind = str(detail.get("@type", "")).rpartition(".")[2]
        if kind == "RetryInfo":
            self.delay = seconds_in(str(detail.get("retryDelay", "")).removesuffix("s"))
        elif kind == "QuotaFailure":
            self.quotas += [str(v.get("quotaId", "")) for v in _dicts(detail.get("violations"))]
        elif kind == "ErrorInfo":
            self.reasons.add(str(detail.get("reason", "")))
        elif kind == "BadRequest":
            self.fields += [str(v.get("field", "")) for v in _dicts(detail.get("fieldViolations"))]

    @property
    def is_day_spent(self) -> bool:
        """Tell whether a day's quota is used up, whatever delay is announced."""
        return any("PerDay" in quota or "Daily" in quota for quota in self.quotas)


def error_object(body: bytes) -> Json | None:
    """Return the error object in *body*, or None if *body* is not one of Google's envelopes."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else None


def _delay_in(message: str) -> float | None:
    match = _RETRY_TEXT.search(message)
    return seconds_in(match[1]) if match else None


def seconds_in(text: str) -> float | None:
    """Return *text* as a number of seconds; None if it is not a finite one of at least 0."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < inf else None


def _dicts(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
