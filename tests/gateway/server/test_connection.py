"""One client connection: its bounds, and what a request on it begins and ends with."""

import asyncio
from unittest.mock import Mock

import orjson
import pytest
import structlog
from aiohttp import web

from gateway.drain import Drain
from gateway.edge import edge
from gateway.keys import DRAIN
from gateway.recorder import RECORDER, Recorder
from gateway.server import connection
from gateway.server.answers import MAX_UNSENT_BYTES
from gateway.server.connection import Bounds
from tests.gateway.raw_http import CHUNKED, GET, answered, app_of, echo
from tests.patience import HANGING_S


async def test_the_gateway_itself_buffers_little_for_a_client(serve_app, dial):
    port, server = await serve_app(app_of(echo))
    reader, _ = await dial(port, GET)
    await answered(reader)
    (client,) = server.connections
    assert client.transport.get_write_buffer_limits()[1] == MAX_UNSENT_BYTES


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
    reader, writer = await dial(port, GET)
    assert (await answered(reader))[0] == 200
    writer.write(b"GET /")
    assert (await answered(reader))[0] == 408


async def test_a_head_in_pieces_and_a_slow_handler_are_fine(serve_app, dial):
    async def slow(_):
        await asyncio.sleep(0.5)
        return web.Response(text="done")

    port, _ = await serve_app(app_of(slow), Bounds(0.3, 5, 100))
    reader, writer = await dial(port)
    for byte in GET:
        writer.write(bytes([byte]))
        # Each comes alone.
        await asyncio.sleep(0.001)
    assert (await answered(reader))[2] == b"done"


FIELD = b"X-%d: " + b"a" * 100_000 + b"\r\n"
LARGE = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(FIELD % n for n in range(40))


@pytest.mark.parametrize("before", [b"", GET])
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
    await dial(port, GET + LARGE)
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
            writer.write(GET)
            assert (await answered(reader))[0] == 200


async def test_above_the_cap_a_connection_is_told_to_come_again(serve_app, dial, monkeypatch):
    monkeypatch.setattr(connection, "ANSWERED_ABOVE_CAP", 1)
    port, server = await serve_app(app_of(echo), Bounds(5, 5, 2))
    for _ in range(2):
        reader, _ = await dial(port, GET)
        assert (await answered(reader))[0] == 200
    reader, told = await dial(port, GET)
    status, headers, _ = await answered(reader)
    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    told.close()
    while len(server.connections) > 2:
        await asyncio.sleep(0.01)
    await dial(port)
    while len(server.connections) < 3:
        await asyncio.sleep(0.01)
    reader, _ = await dial(port, GET)
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
        await dial(port, GET)
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
    _, writer = await dial(port, GET)
    await begun.wait()
    writer.close()
    await asyncio.wait_for(cancelled.wait(), 5)


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
    async with asyncio.timeout(HANGING_S):
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
    async with asyncio.timeout(HANGING_S):
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


async def test_so_is_one_of_a_request_that_waits_behind_another(serve_app, dial):
    proceed = asyncio.Event()

    async def read(request: web.Request) -> web.Response:
        if request.method == "GET":
            await proceed.wait()
        try:
            return web.Response(text=str(len(await request.read())))
        except web.RequestPayloadError:
            return web.Response(status=400, text="malformed")

    port, server = await serve_app(app_of(read))
    reader, writer = await dial(port, GET + CHUNKED + b"\r\n\r\n5\r\nabcde\r\n")
    async with asyncio.timeout(HANGING_S):
        while not (server.connections and server.connections[0]._messages):
            await asyncio.sleep(0.001)
        writer.write(b"XX\r\n")
        while len(server.connections[0]._messages) < 2:
            await asyncio.sleep(0.001)
        proceed.set()
        assert (await answered(reader))[0] == 200
        status, _, body = await answered(reader)
        assert (status, body) == (400, b"malformed")
        assert await reader.read() == b""


@pytest.mark.parametrize("later", [0, 399_000])
async def test_a_body_behind_an_upgrade_that_nobody_takes_is_no_head(serve_app, dial, later):
    """What follows an upgrade may be of another protocol: it is examined once that is refused."""

    async def read(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    upgrade = GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400_000
    port, _ = await serve_app(app_of(read))
    reader, writer = await dial(port, upgrade + post[: len(post) - later])
    async with asyncio.timeout(HANGING_S):
        assert (await answered(reader))[2] == b"0"
        writer.write(post[len(post) - later :] if later else b"")
        assert (await answered(reader))[2] == b"400000"


async def test_a_line_end_behind_a_body_begins_no_head(serve_app, dial):
    """Old clients send one; the connection would end with an answer that nobody asked for."""
    port, _ = await serve_app(app_of(echo), Bounds(0.05, 5, 100))
    reader, writer = await dial(port, GET)
    assert (await answered(reader))[0] == 200
    writer.write(b"\r\n")
    await asyncio.sleep(0.2)
    writer.write(GET)
    assert (await answered(reader))[0] == 200


async def test_a_request_runs_until_the_client_has_read_its_answer(serve_app, dial):
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 20_000_000)

    drain = Drain()
    port, server = await serve_app(app_of(large), drain=drain)
    reader, _ = await dial(port, GET)
    async with asyncio.timeout(5):
        while not drain.count:
            await asyncio.sleep(0.01)
    drain.begin()
    assert not await drain.finished(0.05)
    await answered(reader)
    assert await drain.finished(5)
    await asyncio.wait_for(server.flushed(), 5)


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
