"""The records of a finished exchange: a log line, metrics, a row of the ledger, a span."""

import asyncio
import time
from logging import DEBUG, INFO
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from gateway import log
from gateway.exchange import Exchange, Outcome
from gateway.ledger.ledger import Ledger
from gateway.ledger.row import row_of
from gateway.records.metrics import Metrics

if TYPE_CHECKING:
    # Needs the extra [otel].
    from gateway.spans import Traces

_log = structlog.get_logger()

_PROBES: Final = frozenset({"/healthz", "/readyz"})
# How long after its end an exchange is recorded, together with others that ended meanwhile.
DELAY_S: Final = 0.005
# This many at once take a millisecond of the loop's time.
MOST_AT_ONCE: Final = 64


class Recorder:
    """Records exchanges shortly after they end; without *traces* they get no span.

    The client's next request need not wait for it, and each further record of a batch costs half.
    """

    __slots__ = ("_ended", "_ledger", "_loop", "_metrics", "_traces")

    def __init__(self, metrics: Metrics, ledger: Ledger, traces: "Traces | None") -> None:
        self._metrics = metrics
        self._ledger = ledger
        self._traces = traces
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: list[tuple[web.Request, Exchange, float]] = []

    def end(self, request: web.Request, exchange: Exchange) -> None:
        """Queue an *exchange* that has just ended."""
        ended = self._ended
        ended.append((request, exchange, time.monotonic()))
        if len(ended) == 1:
            # Asking for the loop costs a system call each time in Python 3.11.
            self._loop = self._loop or asyncio.get_running_loop()
            self._loop.call_later(DELAY_S, self.flush)
        if exchange.media or len(ended) >= MOST_AT_ONCE:
            # Large payloads are released at once.
            self.flush()

    def flush(self) -> None:
        """Record what has ended so far."""
        ended, self._ended = self._ended, []
        for request, exchange, at in ended:
            try:
                self._record(request, exchange, at)
            except Exception as error:  # noqa: BLE001 - it takes no other along
                _log.error("not_recorded", id=exchange.id, exc_info=error)

    def _record(self, request: web.Request, exchange: Exchange, ended: float) -> None:
        """Log, count and book *exchange*: no content, no keys, no headers."""
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        # Probes come every few seconds; only failed ones are of interest.
        level = DEBUG if route in _PROBES and exchange.outcome.status == 200 else INFO
        log.put(level, _line(exchange, route, ended))
        seconds = ended - exchange.started
        _count(self._metrics, exchange, route, seconds)
        at = time.time() - (time.monotonic() - ended)
        row = row_of(exchange, at, seconds)
        if row is not None:
            self._ledger.book(row)
        if self._traces is not None and level != DEBUG:
            named = None if resource is None else route
            self._traces.add(request, exchange, named, at, seconds)


RECORDER = web.AppKey("recorder", Recorder)


def _line(exchange: Exchange, route: str, now: float) -> dict[str, object]:
    """Return the fields of the log line; those that the exchange never set are omitted."""
    outcome = exchange.outcome
    line: dict[str, object] = {
        "event": "request",
        "id": exchange.id,
        "route": route,
        "status": outcome.status,
        "ms": _milliseconds(now - exchange.started),
    }
    if hasattr(exchange, "license"):
        line["license"] = exchange.license.id
    if hasattr(exchange, "call"):
        line["model"] = outcome.model or exchange.call.model
        line["stream"] = exchange.call.stream
    if outcome.attempts:
        _add_upstream(line, exchange)
    if outcome.error is not None:
        line["error"] = outcome.error.code
    if outcome.client_gone:
        line["client_gone"] = True
    return line


def _milliseconds(seconds: float) -> float:
    # To a tenth; `round` takes ten times as long.
    return int(seconds * 10_000 + 0.5) / 10


def _add_upstream(line: dict[str, object], exchange: Exchange) -> None:
    outcome = exchange.outcome
    line["credential"] = outcome.credential
    line["attempts"] = outcome.attempts
    if outcome.first_event_at is not None:
        line["first_event_ms"] = _milliseconds(outcome.first_event_at - exchange.started)
    if outcome.usage is not None:
        line["prompt_tokens"] = outcome.usage.prompt
        line["completion_tokens"] = outcome.usage.completion
    if outcome.finish_reason is not None:
        line["finish_reason"] = outcome.finish_reason


def _count(metrics: Metrics, exchange: Exchange, route: str, seconds: float) -> None:
    outcome: Outcome = exchange.outcome
    model, stream = "", False
    if hasattr(exchange, "call"):
        model, stream = outcome.model or exchange.call.model, exchange.call.stream
    metrics.finished(route, model, outcome.status, seconds, stream=stream)
    if outcome.attempts:
        metrics.attempted(outcome.attempts, failed=outcome.error is not None)
    if outcome.first_event_at is not None:
        metrics.first_event(route, outcome.first_event_at - exchange.started)
    if outcome.usage is not None:
        metrics.used(model, outcome.usage)
