import orjson
import pytest

from gateway.dialects.openai_chat import DIALECT
from gateway.dialects.openai_chat.errors import encode_error, error_in_event, render
from gateway.errors import BadRequest, RateLimited, UpstreamError, UpstreamOverloaded


def test_an_error_is_told_in_openais_envelope():
    error = BadRequest("No such role.", param="messages[0].role", code="bad_role")
    fields = {"message": "No such role.", "type": "invalid_request_error"}
    assert render(error) == {"error": {**fields, "param": "messages[0].role", "code": "bad_role"}}
    assert encode_error(error) == b"data: " + orjson.dumps(render(error)) + b"\n\n"
    assert (DIALECT.render(error), DIALECT.encode_error(error)) == (
        render(error),
        encode_error(error),
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}, UpstreamOverloaded),
        ({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota"}, RateLimited),
        ({"code": 500, "message": "internal"}, UpstreamError),
        ({}, UpstreamError),
        ("just words", UpstreamError),
    ],
)
def test_an_error_within_an_event_keeps_its_kind(body, kind):
    assert type(error_in_event(body)) is kind


def test_a_key_in_an_upstream_message_goes_nowhere():
    key = "AIza" + "x" * 35
    error = error_in_event({"message": f"Consumer 'api_key:{key}' has been suspended" + "." * 5000})
    assert key not in error.message
    assert len(error.message) < 2200
