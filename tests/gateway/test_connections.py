import asyncio
import gzip
from unittest.mock import Mock

import orjson
import pytest
import structlog
from aiohttp import web

from gateway import connections
from gateway.connections import Bounds, Paths, connection_cap, raise_descriptor_limit
from gateway.drain import Drain
from gateway.edge import edge
from gateway.keys import DRAIN
from gateway.record import RECORDER, Recorder

SECRET = b"gw-license-that-must-not-be-logged"

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"


def app_of(handler) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


async def echo(request: web.Request) -> web.Response:
    return web.json_response({"path": request.raw_path, "rel_url": str(request.rel_url)})


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict, bytes]:
    """Read one answer: its status, its headers, its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, body


@pytest.mark.parametrize(
    ("target", "forgiven"),
    [
        ("/gemini/v1/models", "/gemini/v1/models"),
        ("/gemini//v1///models/", "/gemini/v1/models"),
        ("//gemini/v1/models", "/gemini/v1/models"),
        ("/gemini/v1/models/?key=a//b/", "/gemini/v1/models?key=a//b/"),
        ("/gemini/v1/models/a%2Fb%2f/", "/gemini/v1/models/a%2Fb%2f"),
        ("/", "/"),
        ("//", "/"),
        ("*", "*"),
        ("http://evil//x", "http://evil//x"),
        ("/v1/models", "/v1/models"),
    ],
)
def test_paths_are_forgiven_and_nothing_else_is_changed(target, forgiven):
    assert Paths("/gemini", aliases=False).forgive(target) == forgiven


@pytest.mark.parametrize(
    ("target", "forgiven"),
    [
        ("/v1/models", "/gemini/v1/models"),
        ("/v1beta/models/a:b?key=x", "/gemini/v1beta/models/a:b?key=x"),
        ("//v1//models/", "/gemini/v1/models"),
        ("/v1", "/gemini/v1"),
        ("/v1x/models", "/v1x/models"),
        ("/healthz", "/healthz"),
        ("/gemini/v1/models", "/gemini/v1/models"),
    ],
)
def test_with_aliases_the_bare_paths_lead_to_the_prefix(target, forgiven):
    assert Paths("/gemini", aliases=True).forgive(target) == forgiven


async def test_the_app_sees_the_forgiven_path(serve_app, dial):
    port, _ = await serve_app(app_of(echo))
    reader, _ = await dial(port, b"GET /gemini//v1/models/?a=%2F HTTP/1.1\r\nHost: x\r\n\r\n")
    _, _, body = await answered(reader)
    path = "/gemini/v1/models?a=%2F"
    assert orjson.loads(body) == {"path": path, "rel_url": path}


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
    assert headers["connection"] == "close"
    assert orjson.loads(body)["error"]["type"] == "invalid_request_error"
    assert SECRET.decode() not in f"{lines}{caplog.text}{body}"
    assert await reader.read() == b""


@pytest.mark.parametrize(
    "chunks",
    [
        b"2\nhi\n0\n\n",
        b"2;a=b\nxx\r\nhi\r\n0\r\n\r\n",
        b"0x2\r\nhi\r\n0\r\n\r\n",
        b"-2\r\nhi\r\n0\r\n\r\n",
        b"2\r\nhiXX0\r\n\r\n",
        b"10000000000000002\r\nhi\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhi\r\n0\r\n\r\n",
        b"2 \r\nhi\r\n0\r\n\r\n",
        b" 2\r\nhi\r\n0\r\n\r\n",
        b"2_0\r\nhi\r\n0\r\n\r\n",
        b"2;a=\x00\r\nhi\r\n0\r\n\r\n",
        b"2\r\nhi\r\n0\r\nA : b\r\n\r\n",
        b"2\r\nhi\r\n0\r\nA: b\n\r\n",
    ],
)
async def test_no_other_reading_of_chunks_is_possible(serve_app, dial, chunks):
    """What proxies and servers were seen to read differently is refused, not guessed."""

    async def size(request):
        return web.json_response(len(await request.read()))

    port, _ = await serve_app(app_of(size))
    reader, _ = await dial(port, CHUNKED + b"\r\n\r\n" + chunks)
    assert (await answered(reader))[0] == 400
    assert await reader.read() == b""


async def test_no_field_of_a_trailer_becomes_one_of_the_next_request(serve_app, dial):
    """Chunk extensions and trailers are legal; aiohttp gives the last trailer to who comes next."""
    handled = []

    async def told(request):
        handled.append(sorted(request.headers))
        return web.json_response(len(await request.read()))

    trailers = b"A: 9\r\nAuthorization: " + SECRET + b"\r\n\r\n"
    first = CHUNKED + b"\r\n\r\n2;a=b;c\r\nhi\r\n0;d\r\n" + trailers
    second = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    port, _ = await serve_app(app_of(told))
    reader, _ = await dial(port, first + second)
    status, headers, body = await answered(reader)
    assert (status, headers["connection"], body) == (200, "close", b"2")
    assert await reader.read() == b""
    assert handled == [["Host", "Transfer-Encoding"]]


async def test_what_no_one_caught_is_a_500_in_json_logged_without_its_text(serve_app, dial):
    async def fail(_):
        raise RuntimeError(SECRET.decode())

    with structlog.testing.capture_logs() as lines:
        port, _ = await serve_app(app_of(fail))
        reader, _ = await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        status, _, body = await answered(reader)
    assert status == 500
    assert orjson.loads(body)["error"]["type"] == "server_error"
    assert [line["error"] for line in lines] == ["RuntimeError"]
    assert "test_connections.py" in lines[0]["at"]
    assert SECRET.decode() not in f"{lines}{body}"


async def test_a_compressed_body_is_not_inflated(serve_app, dial):
    async def size(request):
        return web.json_response(len(await request.read()))

    data = gzip.compress(b"x" * 1_000_000)
    port, _ = await serve_app(app_of(size))
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(data)}"
    reader, _ = await dial(port, head.encode() + b"\r\n\r\n" + data)
    _, _, body = await answered(reader)
    assert int(body) == len(data)


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-"])
async def test_a_head_that_does_not_end_in_time_is_given_up(serve_app, dial, begun):
    port, _ = await serve_app(app_of(echo), Bounds(0.2, 5, 100))
    reader, _ = await dial(port, begun)
    status, headers, body = await answered(reader)
    assert (status, headers["connection"]) == (408, "close")
    assert orjson.loads(body)["error"]["code"] == "request_timeout"
    assert await reader.read() == b""


async def test_the_second_head_on_a_connection_is_bounded_too(serve_app, dial):
    port, _ = await serve_app(app_of(echo), Bounds(0.2, 5, 100))
    reader, writer = await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await answered(reader))[0] == 200
    writer.write(b"GET /")
    assert (await answered(reader))[0] == 408


async def test_a_head_in_pieces_and_a_slow_handler_are_fine(serve_app, dial):
    async def slow(_):
        await asyncio.sleep(0.5)
        return web.Response(text="done")

    port, _ = await serve_app(app_of(slow), Bounds(0.3, 5, 100))
    reader, writer = await dial(port)
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await answered(reader))[2] == b"done"


FIELD = b"X-%d: " + b"a" * 100_000 + b"\r\n"
LARGE = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(FIELD % n for n in range(40))


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_a_head_of_many_large_fields_is_refused_before_its_end(serve_app, dial, before):
    """Each field is small enough by itself, and a head needs no license."""
    port, server = await serve_app(app_of(echo))
    reader, writer = await dial(port, before)
    if before:
        assert (await answered(reader))[0] == 200
    writer.write(LARGE)
    status, headers, body = await answered(reader)
    assert (status, headers["connection"]) == (400, "close")
    assert orjson.loads(body)["error"]["type"] == "invalid_request_error"
    assert await asyncio.wait_for(reader.read(), 5) == b""
    while server.connections:
        await asyncio.sleep(0.01)


async def test_a_large_head_behind_a_running_request_ends_the_connection(serve_app, dial):
    async def wait(_):
        await asyncio.sleep(60)

    port, server = await serve_app(app_of(wait))
    await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + LARGE)
    async with asyncio.timeout(5):
        while not server.connections:
            await asyncio.sleep(0.01)
        while server.connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("reads", [True, False])
async def test_a_body_is_no_head_whether_it_is_read_or_not(serve_app, dial, framing, reads):
    async def read(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())) if reads else "no")

    port, _ = await serve_app(app_of(read))
    head = b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n"
    body = b"x" * 1_000_000
    if b"chunked" in framing:
        body = b"".join(b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000) for _ in range(10))
        body += b"0\r\n\r\n"
    reader, writer = await dial(port, head)
    for at in range(0, len(body), 200_000):
        writer.write(body[at : at + 200_000])
        await writer.drain()
    async with asyncio.timeout(10):
        assert (await answered(reader))[2] == (b"1000000" if reads else b"no")
        if b"chunked" not in framing:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answered(reader))[0] == 200


async def test_above_the_cap_a_connection_is_told_to_come_again(serve_app, dial, monkeypatch):
    monkeypatch.setattr(connections, "TOLD_ABOVE_CAP", 1)
    port, server = await serve_app(app_of(echo), Bounds(5, 5, 2))
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(2):
        reader, _ = await dial(port, request)
        assert (await answered(reader))[0] == 200
    reader, told = await dial(port, request)
    status, headers, _ = await answered(reader)
    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    told.close()
    while len(server.connections) > 2:
        await asyncio.sleep(0.01)
    await dial(port)
    while len(server.connections) < 3:
        await asyncio.sleep(0.01)
    reader, _ = await dial(port, request)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await answered(reader)


async def test_a_client_that_does_not_read_is_cut(serve_app, dial):
    ended = asyncio.Event()

    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        finally:
            ended.set()

    port, _ = await serve_app(app_of(endless), Bounds(5, 0.2, 100))
    with structlog.testing.capture_logs() as lines:
        await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(ended.wait(), 10)
    assert [line["event"] for line in lines] == ["client_stopped_reading"]


async def test_a_client_that_reads_slowly_is_not_cut(serve_app):
    total = 12_000_000

    async def large(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * total)
        return response

    port, _ = await serve_app(app_of(large), Bounds(5, 0.2, 100))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65_536)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    received = 0
    while data := await reader.read(600_000):
        received += len(data)
        await asyncio.sleep(0.005)
    writer.close()
    assert received > total


async def test_while_draining_an_answer_closes_its_connection(serve_app, dial):
    drain = Drain()
    port, _ = await serve_app(app_of(echo), drain=drain)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    reader, writer = await dial(port, request)
    _, headers, _ = await answered(reader)
    assert "connection" not in headers
    drain.begin()
    writer.write(request)
    _, headers, _ = await answered(reader)
    assert headers["connection"] == "close"


async def test_idle_connections_can_be_closed_without_disturbing_busy_ones(serve_app, dial):
    go_on = asyncio.Event()

    async def wait(_):
        await go_on.wait()
        return web.Response(text="done")

    port, server = await serve_app(app_of(wait))
    idle, _ = await dial(port)
    busy, _ = await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    while not any(one._current_request for one in server.connections):
        await asyncio.sleep(0.01)
    server.close_idle()
    assert await idle.read() == b""
    go_on.set()
    assert (await answered(busy))[2] == b"done"


async def test_a_client_that_leaves_cancels_its_handler(serve_app, dial):
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(_):
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    port, _ = await serve_app(app_of(wait))
    _, writer = await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await begun.wait()
    writer.close()
    await asyncio.wait_for(cancelled.wait(), 5)


@pytest.mark.parametrize(
    ("configured", "descriptors", "cap"),
    [(0, 1000, 450), (100, 1000, 100), (5000, 1000, 450), (0, 1, 1)],
)
def test_the_cap_leaves_descriptors_for_upstream(configured, descriptors, cap):
    assert connection_cap(configured, descriptors) == cap


def test_the_limit_on_descriptors_is_raised():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
        assert raise_descriptor_limit() >= soft or hard == resource.RLIM_INFINITY
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= soft
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_requests_in_one_piece_are_answered_in_order(serve_app, dial):
    """More than wait at once, some with bodies that come later: reading goes on all the same."""

    async def told(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.path} {len(await request.read())}")

    sizes = [0, 5, 300_000] * 20
    port, _ = await serve_app(app_of(told))
    requests = [
        b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (number, size) + b"x" * size
        for number, size in enumerate(sizes)
    ]
    reader, _ = await dial(port, b"".join(requests))
    async with asyncio.timeout(20):
        for number, size in enumerate(sizes):
            assert (await answered(reader))[2] == f"/{number} {size}".encode()


async def test_a_body_that_is_read_slowly_arrives_whole(serve_app, dial):
    async def slow(request: web.Request) -> web.Response:
        size = 0
        while data := await request.content.read(10_000):
            size += len(data)
            await asyncio.sleep(0)
        return web.Response(text=str(size))

    port, _ = await serve_app(app_of(slow))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    reader, _ = await dial(port, head + b"x" * 3_000_000)
    async with asyncio.timeout(20):
        assert (await answered(reader))[2] == b"3000000"


async def test_a_body_that_breaks_off_into_nonsense_is_told_of_at_once(serve_app, dial):
    async def read(request: web.Request) -> web.Response:
        try:
            return web.Response(text=str(len(await request.read())))
        except web.RequestPayloadError:
            return web.Response(status=400, text="malformed")

    port, _ = await serve_app(app_of(read))
    reader, writer = await dial(port, CHUNKED + b"\r\n\r\n5\r\nabcde\r\n")
    await asyncio.sleep(0.1)
    writer.write(b"XX\r\n")
    async with asyncio.timeout(5):
        status, _, body = await answered(reader)
    assert (status, body) == (400, b"malformed")


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_request_runs_until_the_client_has_read_its_answer(serve_app, dial):
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 20_000_000)

    drain = Drain()
    port, server = await serve_app(app_of(large), drain=drain)
    reader, _ = await dial(port, GET)
    await asyncio.sleep(0.1)
    drain.begin()
    assert not await drain.finished(0.05)
    await answered(reader)
    assert await drain.finished(1)
    await asyncio.wait_for(server.sent(), 1)


async def test_what_was_written_before_the_end_of_a_request_is_waited_for_too(serve_app, dial):
    async def hasty(request: web.Request) -> web.Response:
        request.transport.set_write_buffer_limits(high=1 << 30)
        return web.Response(body=b"x" * 20_000_000)

    drain = Drain()
    port, server = await serve_app(app_of(hasty), drain=drain)
    reader, _ = await dial(port, GET)
    await asyncio.sleep(0.1)
    assert drain.count == 0
    sent = asyncio.create_task(server.sent())
    await asyncio.sleep(0.05)
    assert not sent.done()
    await answered(reader)
    await asyncio.wait_for(sent, 1)


@pytest.mark.parametrize("fields", [b"", b"Connection: upgrade\r\nUpgrade: h2c\r\n"])
async def test_a_request_runs_from_its_arrival_and_is_told_of_the_end(serve_app, dial, fields):
    async def uploading(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)

    drain, app = Drain(), web.Application(middlewares=[edge])
    app.router.add_get("/", uploading)
    app[DRAIN], app[RECORDER] = drain, Mock(Recorder)
    port, _ = await serve_app(app, drain=drain)
    reader, _ = await dial(port, GET[:-2] + fields + b"\r\n")
    async with asyncio.timeout(2):
        while not drain.count:
            await asyncio.sleep(0.01)
        drain.end()
        status, headers, body = await answered(reader)
    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    assert orjson.loads(body)["error"]["code"] == "unavailable"
    assert await reader.read() == b""
    (_, exchange), _ = app[RECORDER].end.call_args
    # It is no client that left.
    assert (exchange.outcome.status, exchange.outcome.client_gone) == (503, False)
