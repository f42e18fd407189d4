"""Requests leave in one write, and are the same ones that aiohttp writes of itself."""

import asyncio
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.payload import BytesPayload

from gateway.upstream.request import SMALL_BYTES, WholeRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(handle):
    """Give the port of a server whose connections go to *handle*; wait until all are closed."""
    served = set()

    async def serve(reader, writer):
        served.add(asyncio.current_task())
        try:
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(10):
            await asyncio.gather(*served)


def session(kind):
    return ClientSession(request_class=kind, headers={"x-goog-api-key": "key"})


async def sent(kind, port, body):
    async with (
        session(kind) as client,
        client.post(f"http://127.0.0.1:{port}/v1?alt=sse", data=BytesPayload(body)) as answer,
    ):
        assert await answer.read() == b"ok"


@pytest.mark.parametrize("size", [0, 1, 1_000, SMALL_BYTES, SMALL_BYTES + 1])
async def test_it_is_the_request_of_aiohttp(size):
    seen = []

    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append((head, await reader.readexactly(size)))
        writer.write(OK)

    async with listening(handle) as port:
        for kind in (aiohttp.ClientRequest, WholeRequest):
            await sent(kind, port, b"x" * size)
    plain, own = seen
    assert own == plain
    assert own[0].startswith(b"POST /v1?alt=sse HTTP/1.1\r\n")


async def test_no_task_is_made_for_a_small_body():
    made = []

    def counting(loop, work, **options):
        made.append(work)
        return asyncio.Task(work, loop=loop, **options)

    async def handle(reader, writer):
        while True:
            await reader.readuntil(b"}")
            writer.write(OK)

    async with listening(handle) as port, session(WholeRequest) as client:
        for factory in (None, counting, None):
            asyncio.get_running_loop().set_task_factory(factory)
            body = BytesPayload(b"{}")
            async with client.post(f"http://127.0.0.1:{port}/", data=body) as answer:
                assert await answer.read() == b"ok"
    assert made == []


@pytest.mark.parametrize("size", [10, SMALL_BYTES, 1_000_000])
async def test_an_answer_before_the_body_was_read_arrives(size):
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    release = asyncio.Event()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await release.wait()

    async with listening(handle) as port, session(WholeRequest) as client:
        body = BytesPayload(b"x" * size)
        async with asyncio.timeout(10), client.post(f"http://127.0.0.1:{port}/", data=body) as got:
            assert got.status == 413
        release.set()


async def test_a_connection_that_upstream_closed_is_an_error():
    async def handle(reader, writer):
        await reader.readuntil(b"}")
        writer.write(OK)

    class Stale(TCPConnector):
        async def connect(self, *args, **kwargs):
            connection = await super().connect(*args, **kwargs)
            connection.protocol.transport.abort()
            return connection

    async with (
        listening(handle) as port,
        ClientSession(connector=Stale(), request_class=WholeRequest) as client,
    ):
        with pytest.raises(aiohttp.ClientError):
            await client.post(f"http://127.0.0.1:{port}/", data=BytesPayload(b"{}"))
