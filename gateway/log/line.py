"""One line of the log: its time, its length limit, and nothing that a reader must not see."""

import logging
import re
import time
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import orjson
import structlog

from gateway.log.redaction import Secrets
from gateway.log.sink import Sink

MAX_LINE_BYTES = 2_048
MAX_VALUE_CHARS = 256
# What is kept of a line that is too long even with short values.
MAIN = ("event", "level", "time", "id")
MAX_FRAMES = 5

# DEL, C1 controls, line separators and direction overrides, which orjson does not escape.
INVISIBLE = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LEVELS = {level: logging.getLevelName(level).lower() for level in range(10, 60, 10)}

EventDict = MutableMapping[str, Any]


class Clock:
    """Formats the time of day; the part that changes once a second is cached."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """Return the time in UTC with milliseconds, as in RFC 3339."""
        second, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).isoformat()[:19]
        return f"{self._text}.{milliseconds:03d}+00:00"


class Line:
    """The last processor: turns the values of an event into one line of bytes.

    *sink* takes lines of level *least* or above, also those that bypass structlog by `put`.
    """

    def __init__(
        self,
        secrets: Secrets,
        console: structlog.dev.ConsoleRenderer | None,
        sink: Sink,
        least: int,
    ) -> None:
        self._secrets = secrets
        self._console = console
        self._sink = sink
        self._least = least
        self._clock = Clock()

    def __call__(self, _: Any, name: str, values: EventDict) -> bytes:
        """Return the finished line; drops long values first, then all but the four main ones."""
        values.setdefault("level", name)
        if isinstance(error := values.pop("exc_info", None), BaseException):
            values.update(error=type(error).__name__, at=place(error))
        values["time"] = self._clock.now()
        # Redacting comes first: a later cut may leave a part of a secret.
        return self._finish(self._secrets.redact(_dumps(values)))

    def put(self, level: int, values: dict[str, Any]) -> None:
        """Log plain *values*, which belong to the line from now on."""
        if level >= self._least:
            values["level"] = LEVELS[level]
            values["time"] = self._clock.now()
            line = orjson.dumps(values)
            if self._secrets.may_be_in("\n".join([v for v in values.values() if type(v) is str])):
                line = self._secrets.redact(line)
            self._sink.put(self._finish(line))

    def _finish(self, line: bytes) -> bytes:
        if self._console is not None:
            return self._render(self._console, orjson.loads(line))
        if len(line) > MAX_LINE_BYTES:
            line = _cut(orjson.loads(line))
        if not line.isascii() or b"\x7f" in line:
            line = INVISIBLE.sub(_escaped, line.decode()).encode()
        return line + b"\n"

    def _render(self, console: structlog.dev.ConsoleRenderer, values: EventDict) -> bytes:
        level = values["level"]
        line = console(None, level, {key: _clean(value) for key, value in values.items()})
        return line.encode(errors="replace")[: MAX_LINE_BYTES - 1] + b"\n"


def place(error: BaseException) -> str:
    """Return where *error* was raised, the innermost of `MAX_FRAMES` calls first.

    Its text is left out: it may quote the request.
    """
    return _calls(traceback.extract_tb(error.__traceback__))


def stack(frame: FrameType) -> str:
    """Return where *frame* is executing, as `place` does for errors."""
    return _calls(traceback.extract_stack(frame))


def _calls(frames: traceback.StackSummary) -> str:
    return " < ".join(f"{one.filename}:{one.lineno}" for one in reversed(frames[-MAX_FRAMES:]))


def _dumps(values: EventDict) -> bytes:
    return orjson.dumps(values, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _cut(values: EventDict) -> bytes:
    line = _dumps({key: _short(value) for key, value in values.items()})
    if len(line) <= MAX_LINE_BYTES:
        return line
    return _dumps({key: _short(values[key]) for key in MAIN if key in values})


def _short(value: Any) -> Any:
    if isinstance(value, (int, float, bool)) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"


def _clean(value: Any) -> Any:
    """Return *value* safe for a terminal: no control characters, not too long."""
    if isinstance(value, (int, float)) or value is None:
        return value
    characters = (
        character if character.isprintable() else f"\\u{ord(character):04x}"
        for character in str(_short(value))
    )
    return "".join(characters)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
