"""What is kept of an exchange once it is over: the one log line, the ledger's row, the metrics."""

import time

import structlog
from aiohttp import web

from gateway.exchange import Exchange

_log = structlog.get_logger("gateway")


def record(request: web.Request, exchange: Exchange) -> None:
    """Write the canonical log line of *exchange*: no content, no keys, no header values."""
    outcome, usage = exchange.outcome, exchange.outcome.usage
    now = time.monotonic()
    line: dict[str, object] = {
        "id": exchange.id,
        "route": request.match_info.route.resource.canonical
        if request.match_info.route.resource
        else None,
        "status": outcome.status,
        "ms": round((now - exchange.started) * 1000, 1),
    }
    if hasattr(exchange, "license"):
        line["license"] = exchange.license.id
    if hasattr(exchange, "call"):
        line["model"] = outcome.model or exchange.call.model
        line["stream"] = exchange.call.stream
    if outcome.attempts:
        line["credential"] = outcome.credential
        line["attempts"] = outcome.attempts
    if outcome.first_event_at is not None:
        line["first_event_ms"] = round((outcome.first_event_at - exchange.started) * 1000, 1)
    if usage is not None:
        line["prompt_tokens"] = usage.prompt
        line["completion_tokens"] = usage.completion
    if outcome.finish_reason is not None:
        line["finish_reason"] = outcome.finish_reason
    if outcome.error is not None:
        line["error"] = outcome.error.code
    if outcome.client_gone:
        line["client_gone"] = True
    _log.info("request", **line)
