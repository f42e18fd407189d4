"""Removes secrets from lines by value, and keys of a known form even if they are unknown."""

import re
from collections.abc import Iterable

import orjson

from gateway.log.alternation import any_of

REDACTED = b"[redacted]"
# Shorter texts are no real secrets, and replacing them would garble every line.
MIN_SECRET_CHARS = 4
# Up to this many texts are searched one by one: each takes a tenth of what the pattern costs.
FEW_SECRETS = 8

# Keys of a known form, also those of licenses and credentials that this process does not hold.
KEY_LIKE = re.compile(
    rb"AIza[0-9A-Za-z_-]{35}|\bAQ\.[0-9A-Za-z_-]{20,}|\bgw-[0-9A-Za-z._-]+-[0-9A-Za-z_-]{16,}"
)
KEY_STARTS_AS_TEXT = ("AIza", "AQ.", "gw-")
KEY_STARTS = tuple(start.encode() for start in KEY_STARTS_AS_TEXT)


class Secrets:
    """The texts that no line may contain."""

    __slots__ = ("_forms", "_pattern", "_signs")

    def __init__(self) -> None:
        self._signs: tuple[str, ...] = KEY_STARTS_AS_TEXT
        self._forms: set[bytes] = set()
        self._pattern: re.Pattern[bytes] | None = None

    def know(self, secrets: Iterable[str]) -> None:
        """Redact these from now on, instead of the ones known before.

        A thousand new ones take 0.05 s, the same ones again nothing.
        """
        texts = [secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS]
        forms: set[bytes] = set()
        for secret in texts:
            # In JSON some characters are escaped.
            forms |= {secret.encode(), orjson.dumps(secret)[1:-1]}
        if forms != self._forms:
            self._forms, self._pattern = forms, any_of(forms)
        # With many texts every line is examined more closely.
        self._signs = (*texts, *KEY_STARTS_AS_TEXT) if len(texts) <= FEW_SECRETS else ("",)

    def redact(self, line: bytes) -> bytes:
        """Return *line* without any of the secrets."""
        if self._pattern is not None:
            line = self._pattern.sub(REDACTED, line)
        for start in KEY_STARTS:
            if start in line:
                return KEY_LIKE.sub(REDACTED, line)
        return line

    def may_be_in(self, text: str) -> bool:
        """Tell whether *text*, which is no JSON, may hold one: faster than searching the line."""
        for sign in self._signs:  # noqa: SIM110 - `any` would cost as much as the search
            if sign in text:
                return True
        return False
