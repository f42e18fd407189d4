"""The server of an app: how requests come to it, and how its connections end."""

import asyncio
import gzip
import time
from types import SimpleNamespace

import orjson
import pytest
from aiohttp import web

from gateway.drain import Drain
from gateway.keys import DRAIN
from gateway.server.answers import EventStream
from gateway.server.connection import ANSWERED_ABOVE_CAP, Bounds
from gateway.server.connection_server import Runner, connection_cap
from gateway.settings import Server, Settings
from tests.gateway.raw_http import CHUNKED, GET, answered, app_of, echo

SECRET = b"gw-license-that-must-not-be-logged"


async def test_the_app_sees_the_normalised_path(serve_app, dial):
    port, _ = await serve_app(app_of(echo))
    reader, _ = await dial(port, b"GET /gemini//v1/models/?a=%2F HTTP/1.1\r\nHost: x\r\n\r\n")
    _, _, body = await answered(reader)
    path = "/gemini/v1/models?a=%2F"
    assert orjson.loads(body) == {"path": path, "rel_url": path}


@pytest.mark.parametrize("expectation", [b"a meal", b"", b"\xff\xfe"])
async def test_an_expectation_that_nobody_knows_is_refused(serve_app, dial, expectation):
    port, _ = await serve_app(app_of(echo))
    reader, _ = await dial(port, b"GET / HTTP/1.1\r\nHost: x\r\nExpect: %b\r\n\r\n" % expectation)
    status, _, body = await answered(reader)
    assert status == 400
    assert "100-continue" in orjson.loads(body)["error"]["message"]


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


async def test_a_compressed_body_is_not_inflated(serve_app, dial):
    async def size(request):
        return web.json_response(len(await request.read()))

    data = gzip.compress(b"x" * 1_000_000)
    port, _ = await serve_app(app_of(size))
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(data)}"
    reader, _ = await dial(port, head.encode() + b"\r\n\r\n" + data)
    _, _, body = await answered(reader)
    assert int(body) == len(data)


async def test_while_draining_an_answer_closes_its_connection(serve_app, dial):
    drain = Drain()
    port, _ = await serve_app(app_of(echo), drain=drain)
    reader, writer = await dial(port, GET)
    _, headers, _ = await answered(reader)
    assert "connection" not in headers
    drain.begin()
    writer.write(GET)
    _, headers, _ = await answered(reader)
    assert headers["connection"] == "close"


async def test_a_stream_that_begins_while_connections_end_says_so(serve_app, dial):
    async def events(request):
        response = EventStream(time.monotonic, {})
        await response.prepare(request)
        await response.write_eof(b"data: 1\n\n")
        return response

    drain = Drain()
    drain.leave_connections()
    port, _ = await serve_app(app_of(events), drain=drain)
    reader, _ = await dial(port, GET)
    assert b"\r\nConnection: close\r\n" in await reader.read()


async def test_idle_connections_can_be_closed_without_disturbing_busy_ones(serve_app, dial):
    go_on = asyncio.Event()

    async def wait(_):
        await go_on.wait()
        return web.Response(text="done")

    port, server = await serve_app(app_of(wait))
    idle, _ = await dial(port)
    busy, _ = await dial(port, GET)
    while not any(one._current_request for one in server.connections):
        await asyncio.sleep(0.01)
    server.close_idle()
    assert await idle.read() == b""
    go_on.set()
    assert (await answered(busy))[2] == b"done"


@pytest.mark.parametrize(
    ("configured", "descriptors", "cap"),
    [(0, 1000, 450), (100, 1000, 100), (5000, 1000, 450), (0, 1, 1)],
)
def test_the_cap_leaves_descriptors_for_upstream(configured, descriptors, cap):
    assert connection_cap(configured, descriptors) == cap


async def test_a_runner_bounds_connections_as_its_settings_say():
    app = web.Application()
    app[DRAIN] = Drain()
    settings = Server(header_timeout_s=1.0, send_timeout_s=2.0, max_connections=3)
    runner = Runner(app, Settings(server=settings))
    await runner.setup()
    assert runner.connections._bounds == Bounds(1.0, 2.0, 3)
    await runner.cleanup()


async def test_what_was_written_before_the_end_of_a_request_is_waited_for_too(serve_app, dial):
    handled = asyncio.Event()

    async def hasty(request: web.Request) -> web.Response:
        handled.set()
        request.transport.set_write_buffer_limits(high=1 << 30)
        return web.Response(body=b"x" * 20_000_000)

    drain = Drain()
    port, server = await serve_app(app_of(hasty), drain=drain)
    reader, _ = await dial(port, GET)
    async with asyncio.timeout(5):
        await handled.wait()
        while drain.count:
            await asyncio.sleep(0.01)
    sent = asyncio.create_task(server.flushed())
    await asyncio.sleep(0.05)
    assert not sent.done()
    await answered(reader)
    await asyncio.wait_for(sent, 5)


async def test_each_lost_connection_is_one_less_in_the_workers_share(serve_app, dial):
    """Those above the cap, too, which were accepted but never belonged to the server."""
    changes = []
    bounds = Bounds(header_timeout_s=10.0, send_timeout_s=10.0, max_connections=1)
    port, server = await serve_app(app_of(echo), bounds)
    server.share = SimpleNamespace(add=changes.append)
    writers = [(await dial(port))[1] for _ in range(ANSWERED_ABOVE_CAP + 3)]
    for writer in writers:
        writer.close()
    async with asyncio.timeout(5):
        while len(changes) < len(writers):
            await asyncio.sleep(0.01)
    assert changes == [-1] * len(writers)
