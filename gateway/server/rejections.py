"""Answers to requests that never reach the app; each is the last one of its connection."""

import secrets
from http import HTTPStatus

import structlog
from aiohttp import http_exceptions, web

from gateway import __version__
from gateway.dialects.openai_chat.errors import render
from gateway.errors import BadRequest, GatewayError, Unavailable

RETRY_S = 1

log = structlog.get_logger()


def rejection(error: GatewayError) -> web.Response:
    """Return the answer that reports *error* and closes the connection."""
    response = web.json_response(render(error), status=error.status, headers=_headers(error))
    response.force_close()
    return response


def rejection_bytes(error: GatewayError) -> bytes:
    """Return the same as bytes, for a client whose request has not been read."""
    body = web.json_response(render(error)).body
    assert isinstance(body, bytes)
    reason = HTTPStatus(error.status).phrase
    head = [f"HTTP/1.1 {error.status} {reason}", "content-type: application/json"]
    head += [f"{name}: {value}" for name, value in _headers(error).items()]
    head += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


async def overloaded(_: web.BaseRequest) -> web.StreamResponse:
    """Answer on a connection above the cap."""
    message = "Too many connections; try again."
    return rejection(Unavailable(message, retry_after=RETRY_S))


def error_of(status: int, exc: BaseException | None) -> GatewayError:
    """Return the error to report for a failure in aiohttp, whose own text may quote the request."""
    if status >= 500:
        return GatewayError("The gateway failed on this request.")
    if isinstance(exc, http_exceptions.LineTooLong):
        return BadRequest("The request line or a header is too long.")
    return BadRequest("The request is not valid HTTP.")


def _headers(error: GatewayError) -> dict[str, str]:
    """Return the headers of the answer, and log its id."""
    request_id = secrets.token_hex(16)
    log.info("rejected", id=request_id, status=error.status, reason=error.message)
    headers = {
        "connection": "close",
        "x-request-id": request_id,
        "openai-processing-ms": "0",
        "x-gateway-version": __version__,
        "server": "gateway",
    }
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:.0f}"
    return headers
