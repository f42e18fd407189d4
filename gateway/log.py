"""The log: one line per event, at most 2 KB, without secrets, never in anybody's way.

`structlog` gathers the values, `Line` makes the bytes, `Sink` writes them. A line costs the one who
logs a few microseconds: it is put into a bounded queue, and a thread of its own does the writing,
so that neither a full disk nor a pipe that nobody reads holds a request up. Lines that cannot be
written are dropped, counted, and the count is told in the next line that can.
"""

import atexit
import logging
import os
import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson
import structlog

from gateway.settings import Log, Settings
from gateway.texts import any_of

MAX_LINE_BYTES = 2_048
MAX_VALUE_CHARS = 256
MAX_QUEUED_LINES = 10_000
# Lines wait this long for company, so that a busy second costs few writes.
BATCH_S = 0.1
# After so many times without a line the writer sleeps until one comes.
TURNS_BEFORE_REST = 20
# What is kept of a line that is too long even with short values.
MAIN = ("event", "level", "time", "id")
REDACTED = b"[redacted]"
MAX_FRAMES = 5
# Shorter texts are no secrets worth the name, and replacing them would garble every line.
MIN_SECRET_CHARS = 4
# Up to so many texts are looked for one by one: each takes a tenth of what the pattern costs.
FEW_SECRETS = 8

# DEL, C1 controls, line separators and direction overrides: orjson leaves them as they are.
UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Keys of a known form, also of licenses and credentials that this process does not hold.
KEY_LIKE = re.compile(
    rb"AIza[0-9A-Za-z_-]{35}|\bAQ\.[0-9A-Za-z_-]{20,}|\bgw-[0-9A-Za-z._-]+-[0-9A-Za-z_-]{16,}"
)
KEY_STARTS_AS_TEXT = ("AIza", "AQ.", "gw-")
KEY_STARTS = tuple(start.encode() for start in KEY_STARTS_AS_TEXT)
# A password ends for some libraries at the first `@`, for others at the last one before the path.
_PASSWORDS = (re.compile("://[^:/@]*:([^@]*)@"), re.compile("://[^:/@]*:([^/?#]*)@"))
LEVELS = {level: logging.getLevelName(level).lower() for level in range(10, 60, 10)}

EventDict = MutableMapping[str, Any]


class Secrets:
    """The texts that no line may hold."""

    __slots__ = ("_forms", "_pattern", "_signs")

    def __init__(self) -> None:
        self._signs: tuple[str, ...] = KEY_STARTS_AS_TEXT
        self._forms: set[bytes] = set()
        self._pattern: re.Pattern[bytes] | None = None

    def know(self, secrets: Iterable[str]) -> None:
        """Redact these from now on, and the ones known before no longer.

        A thousand new ones take 0.05 s, the same ones again nothing.
        """
        texts = [secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS]
        forms: set[bytes] = set()
        for secret in texts:
            # In JSON some characters are escaped.
            forms |= {secret.encode(), orjson.dumps(secret)[1:-1]}
        if forms != self._forms:
            self._forms, self._pattern = forms, any_of(forms)
        # What may be one of many is looked at closer in any case.
        self._signs = (*texts, *KEY_STARTS_AS_TEXT) if len(texts) <= FEW_SECRETS else ("",)

    def redact(self, line: bytes) -> bytes:
        """Give *line* without any of the secrets."""
        if self._pattern is not None:
            line = self._pattern.sub(REDACTED, line)
        for start in KEY_STARTS:
            if start in line:
                return KEY_LIKE.sub(REDACTED, line)
        return line

    def may_be_in(self, text: str) -> bool:
        """Say whether *text*, which is no JSON, may hold one: quicker than to look in the line."""
        for sign in self._signs:  # noqa: SIM110 - `any` would cost as much as the search
            if sign in text:
                return True
        return False


class Sink:
    """Writes lines to a file descriptor from a thread of its own; never raises, never waits."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: deque[bytes] = deque()
        self._rests = False
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self.dropped = 0
        self._told = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Queue *line*, which ends in a newline."""
        if len(self._lines) >= MAX_QUEUED_LINES:
            self.dropped += 1
            return
        self._lines.append(line)
        if self._rests:
            self._wake.set()

    def flush(self) -> None:
        """Write what is queued now, unless the writer is stuck."""
        if self._writing.acquire(timeout=1.0):
            try:
                self._drain()
            finally:
                self._writing.release()

    def _run(self) -> None:
        # A thread that wakes takes the interpreter from whoever logs: while lines come now and
        # then, this one looks for them at its own time.
        turns = 0
        while True:
            time.sleep(BATCH_S)
            if self._lines:
                with self._writing:
                    self._drain()
                turns = 0
            elif (turns := turns + 1) >= TURNS_BEFORE_REST:
                self._rest()
                turns = 0

    def _rest(self) -> None:
        """Sleep until there is a line."""
        self._wake.clear()
        self._rests = True
        # One that came just before nobody tells of.
        if not self._lines:
            self._wake.wait()
        self._rests = False

    def _drain(self) -> None:
        lines: list[bytes] = []
        while self._lines:
            lines.append(self._lines.popleft())
        if self.dropped > self._told:
            lines.append(b'{"event":"log_lines_dropped","count":%d}\n' % self.dropped)
        if lines and self._write(b"".join(lines)):
            self._told = self.dropped
        else:
            self.dropped += len(lines)

    def _write(self, data: bytes) -> bool:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            return False
        return True


class Clock:
    """Writes the time of day; the part that changes once a second is kept."""

    __slots__ = ("_second", "_written")

    def __init__(self) -> None:
        self._second = -1
        self._written = ""

    def now(self) -> str:
        """Give the time in UTC with milliseconds, as in RFC 3339."""
        second, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._written = datetime.fromtimestamp(second, UTC).isoformat()[:19]
        return f"{self._written}.{milliseconds:03d}+00:00"


class Line:
    """The last processor: makes one line of bytes from the values of an event.

    *sink* takes what is of level *least* or above and comes without structlog's ways, by `put`.
    """

    def __init__(
        self,
        secrets: Secrets,
        console: structlog.dev.ConsoleRenderer | None,
        sink: "Sink",
        least: int,
    ) -> None:
        self._secrets = secrets
        self._console = console
        self._sink = sink
        self._least = least
        self._clock = Clock()

    def __call__(self, _: Any, name: str, values: EventDict) -> bytes:
        """Give the finished line; gives up long values first, then all but the four main ones."""
        values.setdefault("level", name)
        if isinstance(error := values.pop("exc_info", None), BaseException):
            values.update(error=type(error).__name__, at=place(error))
        values["time"] = self._clock.now()
        # Redacting comes first: what is cut afterwards may be the middle of a secret.
        return self._finished(self._secrets.redact(_dumps(values)))

    def put(self, level: int, values: dict[str, Any]) -> None:
        """Log plain *values*, which are the line's own from now on."""
        if level >= self._least:
            values["level"] = LEVELS[level]
            values["time"] = self._clock.now()
            line = orjson.dumps(values)
            if self._secrets.may_be_in("\n".join([v for v in values.values() if type(v) is str])):
                line = self._secrets.redact(line)
            self._sink.put(self._finished(line))

    def _finished(self, line: bytes) -> bytes:
        if self._console is not None:
            return self._shown(self._console, orjson.loads(line))
        if len(line) > MAX_LINE_BYTES:
            line = _cut(orjson.loads(line))
        if not line.isascii() or b"\x7f" in line:
            line = UNSEEN.sub(_escaped, line.decode()).encode()
        return line + b"\n"

    def _shown(self, console: structlog.dev.ConsoleRenderer, values: EventDict) -> bytes:
        level = values["level"]
        line = console(None, level, {key: _clean(value) for key, value in values.items()})
        return line.encode(errors="replace")[: MAX_LINE_BYTES - 1] + b"\n"


def put(level: int, values: dict[str, Any]) -> None:
    """Log the event of *values*, plain ones, as structlog would.

    What is logged for every request comes this way: structlog's costs as much as the line itself.
    """
    processor = structlog.get_config()["processors"][-1]
    if type(processor) is Line:
        processor.put(level, values)
    else:
        structlog.get_logger().log(level, **values)


class StandardHandler(logging.Handler):
    """Brings what libraries log through `logging` into the same log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the message and the kind of exception; never a traceback, it may hold values."""
        values = {"logger": record.name, "message": _message(record)}
        if record.exc_info and record.exc_info[0]:
            values["error"] = record.exc_info[0].__name__
        structlog.get_logger().log(record.levelno, "library", **values)


class SinkLogger:
    """What structlog hands finished lines to."""

    def __init__(self, sink: Sink) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = sink.put


class Output:
    """Where the log goes: one per process."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self.sink = Sink(fd)
        self.secrets = Secrets()
        atexit.register(self.sink.flush)

    def configure(self, settings: Log, secrets: Iterable[str]) -> None:
        """Take over form, level and *secrets*; again after each reload."""
        self.secrets.know(secrets)
        terminal = os.isatty(self._fd)
        console = settings.format == "console" or (settings.format == "auto" and terminal)
        renderer = structlog.dev.ConsoleRenderer(colors=terminal) if console else None
        logger = SinkLogger(self.sink)
        least = logging.getLevelNamesMapping()[settings.level.upper()]
        structlog.configure(
            processors=[Line(self.secrets, renderer, self.sink, least)],
            logger_factory=lambda *_: logger,
            wrapper_class=structlog.make_filtering_bound_logger(least),
            # A cached logger would keep its level over a reload.
            cache_logger_on_first_use=False,
        )
        _adopt_standard_logging()


def secrets_of(settings: Settings) -> list[str]:
    """Give every secret of *settings* whose text is known."""
    keys = [credential.key for credential in settings.upstream.credentials]
    keys += [license_.key for license_ in settings.licenses]
    for url in (settings.state.url, settings.database.url):
        keys += _passwords(url)
    return [secret for secret in dict.fromkeys((*keys, settings.database.pepper)) if secret]


def _passwords(url: str) -> list[str]:
    """Give the passwords in *url*, as they stand there and as they are sent."""
    written = [found[1] for way in _PASSWORDS if (found := way.search(url))]
    for name, _, value in (field.partition("=") for field in url.partition("?")[2].split("&")):
        if "password" in name:
            written.append(value)
    return [*written, *map(unquote, written)]


def place(error: BaseException) -> str:
    """Give where *error* was raised, the innermost of `MAX_FRAMES` calls first.

    Its text is left out: it may quote the request.
    """
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    return " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))


def _adopt_standard_logging() -> None:
    """Bring warnings of libraries into the log, but for loggers that quote requests."""
    logging.basicConfig(level=logging.WARNING, handlers=[StandardHandler()], force=True)
    # aiohttp.server quotes the bytes of a malformed request, its licenses and prompts too; what
    # matters of it is logged by gateway.connection and by the loop's exception handler.
    for name in ("aiohttp.server", "aiohttp.access", "asyncio"):
        logging.getLogger(name).disabled = True


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
    """Give *value* as a terminal may see it: no control characters, not too long."""
    if isinstance(value, (int, float)) or value is None:
        return value
    shown = (c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(_short(value)))
    return "".join(shown)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return str(record.msg)
