"""Errors in OpenAI's form, and the errors that Gemini sends within an event."""

import re

import orjson

from gateway.errors import (
    BadRequest,
    GatewayError,
    RateLimited,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamTimeout,
)
from gateway.exchange import Json
from gateway.sse import frame

_BY_STATUS: dict[str, type[GatewayError]] = {
    "INVALID_ARGUMENT": BadRequest,
    "RESOURCE_EXHAUSTED": RateLimited,
    "UNAVAILABLE": UpstreamOverloaded,
    "DEADLINE_EXCEEDED": UpstreamTimeout,
}
_MAX_MESSAGE = 2048
# Google repeats the key in some messages ("Consumer 'api_key:AIza...' has been suspended").
_KEY = re.compile(r"\b(?:AIza|AQ\.)[\w.-]{10,}")


def render(error: GatewayError) -> Json:
    """Return the body that reports *error* to a client."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


def encode_error(error: GatewayError) -> bytes:
    """Return the frame that reports *error* in mid-stream; SDKs raise on it."""
    return frame(orjson.dumps(render(error)))


def error_in_event(body: object) -> GatewayError:
    """Return the error for *body*, the `error` of an event."""
    details = body if isinstance(body, dict) else {"message": body}
    status = str(details.get("status") or details.get("code") or "UNKNOWN")
    message = _KEY.sub("[redacted]", str(details.get("message") or "no reason given"))[
        :_MAX_MESSAGE
    ]
    kind = _BY_STATUS.get(status, UpstreamError)
    return kind(f"Gemini ended the reply with an error ({status}): {message}")
