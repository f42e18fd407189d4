"""The outermost layer: opens the exchange, renders every error, and ends in one log line.

This is the only place that answers with an error before the first byte, and the only one that
catches everything. After the commit point it never answers: a second head would land inside the
open body.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from random import getrandbits
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import istr

from gateway.dialects import DIALECTS, GEMINI, OPENAI_CHAT
from gateway.drain import restarting
from gateway.errors import (
    LONGEST_RETRY_AFTER_S,
    BadRequest,
    Forbidden,
    GatewayError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    UpstreamAuth,
)
from gateway.exchange import Dialect, Exchange
from gateway.guard import MiddlewareFault
from gateway.keys import DRAIN, EXCHANGE
from gateway.recorder import RECORDER
from gateway.server.answers import json_response, stamp

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
# `istr` saves folding the names to lower case for every request.
_STRICT: Final = istr("x-gateway-strict")
_REQUEST_ID: Final = istr("x-request-id")
_VERSION: Final = istr("x-gateway-version")
# Statuses that third-party middlewares raise; clients treat all others alike.
_BY_STATUS: Final[Mapping[int, type[GatewayError]]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
    429: RateLimited,
    503: Unavailable,
}
_REFUSALS: Final = frozenset({*range(400, 500), 503})
_FAILED: Final = "The gateway failed; its log has the reason under this request's id."

_log = structlog.get_logger()


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer *request* whatever happens behind; see the module's docstring."""
    exchange = Exchange(_request_id(request), _dialect(request), time.monotonic())
    # Only requests to routes of ours carry a payload that can be wrong.
    exchange.carries_payload = (
        request.method == "POST" and request.match_info.http_exception is None
    )
    exchange.notes.is_strict = request.headers.get(_STRICT) == "true"
    request[EXCHANGE] = exchange
    response: web.StreamResponse | None = None
    status = 499
    try:
        response = await handler(request)
        if not response.prepared and _VERSION not in response.headers:
            stamp(response, exchange)
    except asyncio.CancelledError:
        drain = request.app.get(DRAIN)
        if drain is None or not drain.over or _has_begun(request, exchange):
            exchange.outcome.client_gone = True
            raise
        # `relay` ends a stream that is under way; this request has produced nothing yet.
        response = refusal(exchange, restarting())
    except Exception as error:  # noqa: BLE001 - the client is told of every one
        if _has_begun(request, exchange):
            status = _break_off(error, exchange)
            raise ConnectionAbortedError("No other answer can follow the one begun.") from None
        response = refusal(exchange, _gateway_error(error, request, exchange))
    finally:
        exchange.outcome.status = status if response is None else response.status
        request.app[RECORDER].end(request, exchange)
        # aiohttp keeps the request until the next one on its connection, and payloads with media
        # are large.
        del request[EXCHANGE]
    return response


def _has_begun(request: web.Request, exchange: Exchange) -> bool:
    """Tell whether an answer is under way; a middleware may have begun one itself."""
    return exchange.outcome.begun or request.writer.output_size > 0


def _break_off(error: Exception, exchange: Exchange) -> int:
    """Note what cut an answer that was under way; return the status that the exchange ends with."""
    if isinstance(error, ConnectionError):
        exchange.outcome.client_gone = True
        return 499
    _log_fault(error, exchange)
    failed = GatewayError(_FAILED)
    exchange.outcome.error = failed
    return failed.status


def refusal(exchange: Exchange, error: GatewayError) -> web.Response:
    """Return the answer that reports *error*, with the headers that control clients' retries."""
    exchange.outcome.error = error.bare()
    response = json_response(exchange.dialect.render(error), exchange, error.status)
    response.headers.update(retry_headers(error))
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="gateway"'
    return response


def retry_headers(error: GatewayError) -> dict[str, str]:
    """Return the headers that SDKs obey: a wait of up to a minute, or not to retry."""
    wait = error.retry_after
    if wait is not None and wait <= LONGEST_RETRY_AFTER_S and error.type != "insufficient_quota":
        milliseconds = max(1, int(wait * 1000 + 0.999))
        return {
            "retry-after": str((milliseconds + 999) // 1000),
            "retry-after-ms": str(milliseconds),
        }
    # A key that is refused for good waits for the operator.
    is_final = error.status in {401, 403, 429} or isinstance(error, UpstreamAuth)
    if is_final or wait is not None:
        return {"x-should-retry": "false"}
    return {}


def _dialect(request: web.Request) -> Dialect:
    """Return the dialect that the route is named after, else the one of the request's form."""
    name = request.match_info.route.name
    if name is None:
        is_native = "/v1beta/" in request.path or "x-goog-api-key" in request.headers
        return GEMINI if is_native else OPENAI_CHAT
    return DIALECTS[name.partition(".")[0]]


def _request_id(request: web.Request) -> str:
    """Return the client's request id if it is harmless, else a new one."""
    client_id = request.headers.get(_REQUEST_ID)
    if client_id is not None and _ID.fullmatch(client_id):
        return client_id
    # As unique as a UUID and much faster; nothing depends on ids being unguessable.
    return f"{getrandbits(128):032x}"


def _gateway_error(error: Exception, request: web.Request, exchange: Exchange) -> GatewayError:
    """Return *error* as one of the tree; anything unknown becomes a plain 500."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        message = f"{error.method} is not allowed at this address; use {' or '.join(allowed)}."
        return MethodNotAllowed(message, allowed=allowed)
    if isinstance(error, web.HTTPNotFound):
        return _nowhere(request)
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge("The request's body is too large.")
    if isinstance(error, web.HTTPException) and error.status in _REFUSALS:
        return _refusal_of(error)
    _log_fault(error, exchange)
    return GatewayError(_FAILED)


def _nowhere(request: web.Request) -> NotFound:
    """Say where chat completions are: the base URL may be wrong, or the API one not served here."""
    message = f"There is nothing at {request.path[:256]!r}."
    if (chat := request.app.router.named_resources().get(OPENAI_CHAT.name)) is not None:
        message += f" Chat completions are at {chat.canonical!r}."
    return NotFound(message)


def _refusal_of(error: web.HTTPException) -> GatewayError:
    """Return the refusal of a third-party middleware in its own words."""
    # aiohttp's default text only repeats status and reason.
    own = error.text if error.text != f"{error.status}: {error.reason}" else None
    wait = error.headers.get(hdrs.RETRY_AFTER, "")
    return _BY_STATUS.get(error.status, BadRequest)(
        own or error.reason, retry_after=float(wait) if wait.isdecimal() else None
    )


def _log_fault(error: Exception, exchange: Exchange) -> None:
    """Log an unforeseen error by its kind and place, as its text may quote the request."""
    if isinstance(error, MiddlewareFault):
        cause = error.__cause__ or error
        _log.error("unexpected_error", id=exchange.id, reason=str(error), exc_info=cause)
    else:
        _log.error("unexpected_error", id=exchange.id, exc_info=error)
