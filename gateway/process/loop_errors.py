"""Logs errors that reach the event loop because nobody else caught them."""

import asyncio

import structlog

from gateway.log.line import place

# At most one line in this time for each kind of error.
LOOP_ERROR_PAUSE_S = 1.0

log = structlog.get_logger()


class LoopErrors:
    """The event loop's exception handler: few lines, none of them quoting a request."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._hidden = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Log the error, unless the same one was logged just now."""
        error = context.get("exception")
        kind = type(error).__name__ if error is not None else ""
        message = str(context.get("message", ""))[:100]
        now = loop.time()
        if now - self._last.get(kind + message, -LOOP_ERROR_PAUSE_S) < LOOP_ERROR_PAUSE_S:
            self._hidden += 1
            return
        if len(self._last) > 100:
            self._last.clear()
        self._last[kind + message] = now
        at = place(error) if isinstance(error, BaseException) else ""
        log.error("loop_error", message=message, error=kind, at=at, hidden=self._hidden)
