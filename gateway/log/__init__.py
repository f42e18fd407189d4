"""The log: one line per event, at most 2 KB, without secrets, and never blocking.

`structlog` gathers the values, `Line` makes the bytes, `Sink` writes them. A line costs its author
a few microseconds: it is put into a bounded queue, and a separate thread does the writing, so that
neither a full disk nor a pipe that nobody reads delays a request. Lines that cannot be written are
dropped and counted, and the next line that can be written says how many.
"""

import atexit
import logging
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import structlog

from gateway.log.line import Line
from gateway.log.redaction import Secrets
from gateway.log.sink import Sink
from gateway.settings import Log, Settings

# For some libraries a password ends at the first `@`, for others at the last one before the path.
_PASSWORDS = (re.compile("://[^:/@]*:([^@]*)@"), re.compile("://[^:/@]*:([^/?#]*)@"))
_HEADER_NAME = re.compile(r"\s*[\w.-]+\s*")
# Shorter values of headers, such as "true", are no secrets and would garble other lines.
MIN_HEADER_SECRET_CHARS = 8


def put(level: int, values: dict[str, Any]) -> None:
    """Log the event with *values*, plain ones, as structlog would.

    Used for what is logged for every request: structlog costs as much as the line itself.
    """
    processor = structlog.get_config()["processors"][-1]
    if type(processor) is Line:
        processor.put(level, values)
    else:
        structlog.get_logger().log(level, **values)


class Output:
    """Where the log goes: one per process."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self.sink = Sink(fd)
        self.secrets = Secrets()
        atexit.register(self.sink.flush)

    def configure(self, settings: Log, secrets: Iterable[str]) -> None:
        """Apply form, level and *secrets*; again after each reload."""
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
            # A cached logger would keep its level after a reload.
            cache_logger_on_first_use=False,
        )
        _adopt_standard_logging()


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret of *settings* whose text is known."""
    keys = [credential.key for credential in settings.upstream.credentials]
    keys += [license_.key for license_ in settings.licenses]
    for url in (settings.upstream.proxy, settings.state.url, settings.database.url):
        keys += _passwords(url)
    if settings.tracing.enabled:
        keys += _secrets_of_exporter(os.environ)
    return [secret for secret in dict.fromkeys((*keys, settings.database.pepper)) if secret]


def _passwords(url: str) -> list[str]:
    """Return the passwords in *url*, as written and as sent."""
    passwords = [match[1] for pattern in _PASSWORDS if (match := pattern.search(url))]
    for name, _, value in (field.partition("=") for field in url.partition("?")[2].split("&")):
        if "password" in name:
            passwords.append(value)
    return [*passwords, *map(unquote, passwords)]


def _secrets_of_exporter(environ: Mapping[str, str]) -> list[str]:
    """Return what OpenTelemetry's variables may hold in secrets: values of headers and queries."""
    values: list[str] = []
    for kind in ("", "TRACES_"):
        for header in environ.get(f"OTEL_EXPORTER_OTLP_{kind}HEADERS", "").split(","):
            name, _, value = header.partition("=")
            # The library quotes what is malformed, such as a header without its "=".
            if not value or not _HEADER_NAME.fullmatch(name):
                value = header
            values += [value.strip(), *unquote(value).split()]
        url = environ.get(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT", "")
        fields = [field.partition("=")[2] for field in url.partition("?")[2].split("&")]
        values += [*_passwords(url), *fields, *map(unquote, fields)]
    return [value for value in values if len(value) >= MIN_HEADER_SECRET_CHARS]


class SinkLogger:
    """The logger that structlog passes finished lines to."""

    def __init__(self, sink: Sink) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = sink.put


class StandardHandler(logging.Handler):
    """Redirects what libraries log through `logging` to the same log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the message and the kind of exception; never a traceback, as it may hold values."""
        values = {"logger": record.name, "message": _message(record)}
        if record.exc_info and record.exc_info[0]:
            values["error"] = record.exc_info[0].__name__
        structlog.get_logger().log(record.levelno, "library", **values)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return str(record.msg)


def _adopt_standard_logging() -> None:
    """Log the warnings of libraries, except of loggers that quote requests."""
    logging.basicConfig(level=logging.WARNING, handlers=[StandardHandler()], force=True)
    # aiohttp.server quotes the bytes of a malformed request, with its licenses and prompts; the
    # relevant part is logged by gateway.server.connection and by the loop's exception handler.
    for name in ("aiohttp.server", "aiohttp.access", "asyncio"):
        logging.getLogger(name).disabled = True
