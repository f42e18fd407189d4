"""Malformed HTTP, and what no one caught: told in JSON, and never quoted."""

import orjson
import pytest
import structlog

from tests.gateway.raw_http import CHUNKED, answered, app_of, echo

SECRET = b"gw-license-that-must-not-be-logged"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\nHost: x\nAuthorization: " + SECRET + b"\n\n",
        b"\x16\x03\x01\x02\x00" + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 140_000 + SECRET + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nA: "
        + SECRET
        + b"\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\x0bchunked\r\n\r\n" + SECRET,
        b"GET / HTTP/1.1\r\nHost : x\r\nA: " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nA: " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rB: " + SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00" + SECRET + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n" + SECRET,
        CHUNKED.replace(b"chunked", b"chunked, identity") + b"\r\n\r\n" + SECRET,
        CHUNKED + b"\r\nTransfer-Encoding: identity\r\n\r\n" + SECRET,
        CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0")
        + b"\r\n\r\n5\r\n"
        + SECRET[:5]
        + b"\r\n0\r\n\r\n",
        CHUNKED + b"\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SECRET,
        CHUNKED + b", chunked\r\n\r\n0\r\n\r\n" + SECRET,
        CHUNKED.replace(b"chunked", b"xchunked") + b"\r\n\r\n" + SECRET,
        CHUNKED.replace(b"Encoding:", b"Encoding :") + b"\r\n\r\n" + SECRET,
        CHUNKED.replace(b"chunked", b"\r\n chunked") + b"\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\nTransfer-Encoding: chunked\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\n\xa0Content-Length: 1\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n" + SECRET,
        b"POST /  HTTP/1.1\r\nHost: x\r\n\r\n" + SECRET,
        b"POST / HTTP/1.1 x\r\nHost: x\r\n\r\n" + SECRET,
        b"POST / HTTP/3.7\r\nHost: x\r\n\r\n" + SECRET,
        b"PO ST / HTTP/1.1\r\nHost: x\r\n\r\n" + SECRET,
    ],
)
async def test_malformed_http_is_refused_in_json_and_never_quoted(
    serve_app, dial, request_bytes, caplog
):
    with structlog.testing.capture_logs() as lines:
        port, _ = await serve_app(app_of(echo))
        reader, _ = await dial(port, request_bytes)
        status, headers, body = await answered(reader)
    assert status == 400
    assert headers["content-type"].startswith("application/json")
    assert {"x-request-id", "openai-processing-ms", "x-gateway-version"} <= headers.keys()
    assert headers["server"] == "gateway"
    assert headers["connection"] == "close"
    assert [(line["id"], line["status"]) for line in lines] == [(headers["x-request-id"], 400)]
    assert orjson.loads(body)["error"]["type"] == "invalid_request_error"
    assert SECRET.decode() not in f"{lines}{caplog.text}{body}"
    assert await reader.read() == b""


async def test_what_no_one_caught_is_a_500_in_json_logged_without_its_text(serve_app, dial):
    async def fail(_):
        raise RuntimeError(SECRET.decode())

    with structlog.testing.capture_logs() as lines:
        port, _ = await serve_app(app_of(fail))
        reader, _ = await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, body = await answered(reader)
    assert status == 500
    assert orjson.loads(body)["error"]["type"] == "server_error"
    assert lines[0]["error"] == "RuntimeError"
    assert "test_rejections.py" in lines[0]["at"]
    assert lines[1]["id"] == headers["x-request-id"]
    assert SECRET.decode() not in f"{lines}{body}"
