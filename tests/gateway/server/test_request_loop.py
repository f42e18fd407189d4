"""The loop of a connection: what one request may not do to the next, and what is left to aiohttp."""

import asyncio
from contextvars import ContextVar

import pytest
import structlog
from aiohttp import web

from gateway.drain import Drain
from gateway.server import request_loop
from gateway.server.connection_server import KEEPALIVE_S

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


async def answers(reader: asyncio.StreamReader, count: int) -> list[tuple[int, str]]:
    """Read *count* answers: status and body."""
    found = []
    for _ in range(count):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        found.append((int(head.split()[1]), (await reader.readexactly(length)).decode()))
    return found


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def app_of(handler) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


async def name_tenant(request: web.Request) -> web.Response:
    before = TENANT.get()
    if request.path != "/":
        TENANT.set(request.path)
    return web.Response(text=before)


async def test_what_a_request_sets_in_its_context_is_not_there_for_the_next(serve_app, dial):
    port, server = await serve_app(app_of(name_tenant))
    reader, writer = await dial(port, get("/a") + get("/b"))
    assert await answers(reader, 2) == [(200, "nobody")] * 2
    writer.write(get("/") + get("/c") + get("/"))
    assert await answers(reader, 3) == [(200, "nobody")] * 3
    # It is still the same connection, with one task.
    assert len(server.connections) == 1
    tasks = [task for task in asyncio.all_tasks() if "RequestLoop.start" in repr(task)]
    assert len(tasks) == 1


async def test_a_connection_is_kept_for_its_time_from_the_latest_request_on(serve_app, dial):
    port, server = await serve_app(app_of(name_tenant))
    reader, writer = await dial(port)
    loop = asyncio.get_running_loop()
    for _ in range(2):
        asked_at = loop.time()
        writer.write(get("/"))
        await answers(reader, 1)
        await asyncio.sleep(0.01)
        (kept,) = server.connections
        assert asked_at < kept._next_keepalive_close_time - KEEPALIVE_S <= loop.time()
        assert kept._keepalive_handle.when() <= kept._next_keepalive_close_time


async def test_a_request_that_is_ended_takes_its_connection_along(serve_app, dial):
    async def wait(_: web.Request) -> web.Response:
        await asyncio.sleep(60)

    drain = Drain()
    port, _ = await serve_app(app_of(wait), drain=drain)
    reader, _ = await dial(port, get("/"))
    while not drain.count:
        await asyncio.sleep(0.001)
    drain.end()
    assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_request_shares_its_task_with_others_as_long_as_it_sets_nothing(serve_app, dial):
    async def name_task(_: web.Request) -> web.Response:
        return web.Response(text=str(id(asyncio.current_task())))

    port, _ = await serve_app(app_of(name_task))
    reader, writer = await dial(port, get("/"))
    (first,) = await answers(reader, 1)
    writer.write(get("/") + get("/"))
    assert await answers(reader, 2) == [first, first]


async def test_a_request_with_an_upgrade_is_answered_as_one_without(serve_app, dial):
    async def say(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    port, _ = await serve_app(app_of(say))
    upgrade = ("Connection: upgrade", "Upgrade: websocket")
    reader, writer = await dial(port, get("/1") + get("/2", *upgrade))
    assert await answers(reader, 2) == [(200, "/1"), (200, "/2")]
    writer.write(get("/3"))
    assert await answers(reader, 1) == [(200, "/3")]


async def test_after_good_requests_a_malformed_one_ends_the_connection(serve_app, dial):
    async def say(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    port, _ = await serve_app(app_of(say))
    reader, writer = await dial(port, get("/1"))
    assert await answers(reader, 1) == [(200, "/1")]
    writer.write(b"nonsense\r\n\r\n" + get("/2"))
    ((status, _),) = await answers(reader, 1)
    assert status == 400
    assert await reader.read() == b""


async def refuse(_: web.Request) -> web.Response:
    return web.Response(status=413, text="no")


POST_10 = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


async def test_an_early_answer_is_followed_by_the_next_request(serve_app, dial):
    port, _ = await serve_app(app_of(refuse))
    reader, writer = await dial(port, POST_10 + b"12345")
    assert await answers(reader, 1) == [(413, "no")]
    writer.write(b"67890" + POST_10 + b"1234567890")
    assert await answers(reader, 1) == [(413, "no")]


async def test_a_body_that_never_ends_is_not_waited_for_for_ever(serve_app, dial):
    port, server = await serve_app(app_of(refuse))
    server._kwargs["lingering_time"] = 0.05
    reader, _ = await dial(port, POST_10 + b"12345")
    assert await answers(reader, 1) == [(413, "no")]
    assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_client_that_leaves_amid_its_body_ends_the_loop(serve_app, dial):
    port, server = await serve_app(app_of(refuse))
    reader, writer = await dial(port, POST_10 + b"12345")
    assert await answers(reader, 1) == [(413, "no")]
    writer.close()
    async with asyncio.timeout(5):
        while server.connections or "RequestLoop.start" in repr(asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def test_a_handler_that_fails_after_the_head_ends_the_connection(serve_app, dial):
    async def fail(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        raise RuntimeError("secret")

    port, _ = await serve_app(app_of(fail))
    with structlog.testing.capture_logs() as lines:
        reader, _ = await dial(port, get("/") + get("/"))
        received = await asyncio.wait_for(reader.read(), 5)
    assert received.count(b"HTTP/1.1 200") == 1
    assert received.endswith(b"begun\r\n")
    assert "secret" not in str(lines)
    assert [line["error"] for line in lines if line["event"] == "request_failed"] == [
        "RuntimeError"
    ]


async def test_what_breaks_outside_of_a_handler_is_logged_and_ends_the_connection(
    serve_app, dial, monkeypatch
):
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(request_loop.RequestLoop, "_handle_request", broken)
    port, _ = await serve_app(app_of(refuse))
    with structlog.testing.capture_logs() as lines:
        reader, _ = await dial(port, get("/"))
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert [line["error"] for line in lines] == ["RuntimeError"]
    assert "secret" not in str(lines)


@pytest.mark.parametrize("fields", [(), ("Connection: upgrade", "Upgrade: h2c")])
async def test_a_body_that_breaks_off_after_its_answer_is_no_failure(serve_app, dial, fields):
    reading = asyncio.Event()

    async def read(request: web.Request) -> web.Response:
        reading.set()
        with pytest.raises(web.RequestPayloadError):
            await request.read()
        return web.Response(status=400, text="malformed")

    port, _ = await serve_app(app_of(read))
    chunked = get("/", "Transfer-Encoding: chunked", *fields).replace(b"GET", b"POST")
    with structlog.testing.capture_logs() as lines:
        reader, writer = await dial(port, chunked + b"5\r\nabcde\r\n")
        await reading.wait()
        writer.write(b"XX\r\n")
        assert await answers(reader, 1) == [(400, "malformed")]
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert lines == []


@pytest.mark.parametrize("fields", [("Connection: close",), ()])
async def test_a_connection_ends_when_the_client_wants_it_to(serve_app, dial, fields):
    port, _ = await serve_app(app_of(refuse))
    reader, _ = await dial(port, get("/", *fields))
    assert await answers(reader, 1) == [(413, "no")]
    if fields:
        assert await asyncio.wait_for(reader.read(), 5) == b""
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 0.2)


async def test_an_idle_connection_ends_after_its_time(serve_app, dial):
    port, server = await serve_app(app_of(refuse))
    server._kwargs["keepalive_timeout"] = 0.2
    reader, writer = await dial(port, get("/"))
    assert await answers(reader, 1) == [(413, "no")]
    await asyncio.sleep(0.15)
    writer.write(get("/"))
    assert await answers(reader, 1) == [(413, "no")]
    assert await asyncio.wait_for(reader.read(), 5) == b""
