"""Errors in Google's envelope (google.rpc.Status), as its SDKs read them."""

import orjson

from gateway.errors import GatewayError
from gateway.exchange import Json

_TYPE = "type.googleapis.com/google.rpc."
# Google's name of each status; one without counts as the request's fault.
_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def render(error: GatewayError) -> Json:
    """Return the body that reports *error* to a client; its code and param are in the details."""
    info: Json = {"@type": f"{_TYPE}ErrorInfo", "reason": error.code, "domain": "gateway"}
    if error.param:
        info["metadata"] = {"param": error.param}
    details = [info]
    if error.retry_after is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after:.3f}s"})
    return {
        "error": {
            "code": error.status,
            "message": error.message,
            "status": _STATUS.get(error.status, "INVALID_ARGUMENT"),
            "details": details,
        }
    }


def encode_error(error: GatewayError) -> bytes:
    """Return the frame that reports *error* in mid-stream; Google's SDKs raise on it."""
    return b"data: " + orjson.dumps(render(error)) + b"\r\n\r\n"
