import json

import pytest

from gateway import errors
from gateway.dialects.gemini import DIALECT
from gateway.errors import BadRequest, GatewayError, RateLimited

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GatewayError)
]
# The words of google.rpc.Code (google/rpc/code.proto).
WORDS = {
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "UNIMPLEMENTED",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "INTERNAL",
    "UNAVAILABLE",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_googles_envelope(kind):
    envelope = DIALECT.render(kind("what to change"))["error"]
    assert envelope["code"] == kind.status
    assert envelope["status"] in WORDS
    assert (envelope["status"] == "INVALID_ARGUMENT") == (kind.status in {400, 413, 415})
    assert envelope["message"] == "what to change"


def test_code_param_and_wait_are_among_the_details():
    error = RateLimited("later", param="a.b", code="slow", retry_after=1.5)
    info, retry = DIALECT.render(error)["error"]["details"]
    assert (info["reason"], info["metadata"]) == ("slow", {"param": "a.b"})
    assert retry["retryDelay"] == "1.500s"


def test_an_error_in_mid_stream_is_a_frame():
    frame = DIALECT.encode_error(BadRequest("no"))
    assert frame.endswith(b"\r\n\r\n")
    assert json.loads(frame.removeprefix(b"data: "))["error"]["status"] == "INVALID_ARGUMENT"
