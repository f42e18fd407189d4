"""Traces, if they are enabled: what loads OpenTelemetry, and what its libraries log."""

import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.log import StandardHandler
from gateway.settings import ConfigError, Settings

if TYPE_CHECKING:
    from gateway.spans import Traces

# While the collector is down, each batch fails, after several attempts.
REPEATED_AFTER_S = 60.0


def add_tracing(app: web.Application, settings: Settings) -> "Traces | None":
    """Return the maker of spans, which is closed with *app*; None unless traces are enabled.

    Raises `ConfigError` like `check_tracing`.
    """
    if not settings.tracing.enabled:
        return None
    traces = _make_traces()

    async def running(_: web.Application) -> AsyncIterator[None]:
        yield
        await traces.close()

    # The first to be added is the last to be closed: the others end with requests to record.
    app.cleanup_ctx.append(running)
    return traces


def check_tracing(settings: Settings) -> None:
    """Raise `ConfigError` if traces are enabled and OpenTelemetry is not installed."""
    if settings.tracing.enabled:
        _load()


def _load() -> "type[Traces]":
    try:
        from gateway.spans import Traces
    except ImportError as error:
        raise ConfigError(
            f"tracing.enabled: traces need the extra gateway[otel] ({error.name} is missing)"
        ) from None
    return Traces


def _make_traces() -> "Traces":
    kind = _load()
    _adopt_library_log()
    try:
        return kind()
    except ValueError as error:
        raise ConfigError(f"tracing: OpenTelemetry refuses its environment: {error}") from None


class Seldom(logging.Filter):
    """Passes what one place in a library logs once in `REPEATED_AFTER_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log *record*."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        if now - self._passed.get(place, -REPEATED_AFTER_S) < REPEATED_AFTER_S:
            return False
        self._passed[place] = now
        return True


def _adopt_library_log() -> None:
    """Log the warnings of OpenTelemetry as those of all libraries, but seldom."""
    handler = StandardHandler()
    handler.addFilter(Seldom())
    library = logging.getLogger("opentelemetry")
    library.handlers, library.propagate = [handler], False
    # It quotes the client's `tracestate`.
    logging.getLogger("opentelemetry.trace.span").disabled = True
