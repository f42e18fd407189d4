"""What is kept of an exchange once it is over: a log line, numbers of `/metrics`, a ledger row."""

import time
from logging import DEBUG, INFO
from typing import Final

from aiohttp import web

from gateway import log
from gateway.exchange import Exchange, Outcome
from gateway.keys import LEDGER, METRICS
from gateway.ledger.row import row_of
from gateway.metrics import Metrics

_PROBES: Final = frozenset({"/healthz", "/readyz"})


def record(request: web.Request, exchange: Exchange) -> None:
    """Log, count and book *exchange*: no content, no keys, no headers."""
    now = time.monotonic()
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unknown"
    # Probes come every few seconds; only one that fails is news.
    level = DEBUG if route in _PROBES and exchange.outcome.status == 200 else INFO
    log.put(level, _line(exchange, route, now))
    app = request.app
    _count(app[METRICS], exchange, route, now - exchange.started)
    row = row_of(exchange, time.time(), now - exchange.started)
    if row is not None:
        app[LEDGER].book(row)


def _line(exchange: Exchange, route: str, now: float) -> dict[str, object]:
    """Give the fields of the line; what an exchange never came to have is left out."""
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
