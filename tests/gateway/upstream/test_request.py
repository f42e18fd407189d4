"""Requests leave in one write, as aiohttp would write them; connections come back to the pool."""

import asyncio
import tracemalloc
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.http import StreamWriter
from aiohttp.payload import BytesPayload
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.upstream.pool import Pool
from gateway.upstream.request import PIECE_BYTES, SMALL_BYTES, Target, _write_in_pieces
from tests.tls import client_context, server_context

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(handle):
    """Yield the port of a server whose connections go to *handle*; wait until all are closed."""
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


def session(**options):
    headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
    return ClientSession(headers=headers, **{"connector": Pool()} | options)


def target(client, port, path="/v1?alt=sse", user=""):
    url = URL(f"http://{user}127.0.0.1:{port}{path}")
    return Target(client, url, ClientTimeout(total=None, sock_connect=5))


async def answer_each(reader, writer):
    """Answer every request on a connection, whose number is the answer's text."""
    answer_each.connections += 1
    number = b"%d" % answer_each.connections
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(number) + number)


@pytest.fixture(autouse=True)
def _count_anew():
    answer_each.connections = 0


@pytest.mark.parametrize("user", ["", "me:pass%20word@"])
@pytest.mark.parametrize("size", [0, 1, 1_000, SMALL_BYTES, SMALL_BYTES + 1, 900_000])
async def test_it_is_the_request_of_aiohttp(size, user):
    seen = []

    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append((head, await reader.readexactly(size)))
        writer.write(OK)

    async with listening(handle) as port, session() as other, session() as client:
        url, key = f"http://{user}127.0.0.1:{port}/v1?alt=sse", {"x-goog-api-key": "key"}
        async with other.post(url, data=BytesPayload(b"x" * size), headers=key) as answer:
            assert await answer.read() == b"ok"
        response = await target(client, port, user=user).post("key", b"x" * size)
        assert (response.status, await response.content.read()) == (200, b"ok")
    plain, own = seen
    assert set(own[0].split(b"\r\n")) == set(plain[0].split(b"\r\n"))
    assert own[1] == plain[1]
    assert own[0].startswith(b"POST /v1?alt=sse HTTP/1.1\r\n")


@pytest.mark.parametrize(("size", "tasks"), [(2, 0), (SMALL_BYTES, 0), (SMALL_BYTES + 1, 1)])
async def test_no_task_is_made_for_a_small_body(size, tasks):
    made = []

    def counting(loop, work, **options):
        made.append(work)
        return asyncio.Task(work, loop=loop, **options)

    async with listening(answer_each) as port, session() as client:
        for factory in (None, counting, None):
            asyncio.get_running_loop().set_task_factory(factory)
            response = await target(client, port).post("key", b"x" * size)
            assert await response.content.read() == b"1"
    assert len(made) == tasks


@pytest.mark.parametrize("size", [10, SMALL_BYTES, 5_000_000])
async def test_an_answer_before_the_body_was_read_arrives(size):
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    release = asyncio.Event()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await release.wait()

    async with listening(handle) as port, session() as client:
        async with asyncio.timeout(10):
            response = await target(client, port).post("key", b"x" * size)
        assert response.status == 413
        release.set()


async def test_a_connection_on_which_the_body_was_not_sent_is_not_used_again():
    release = asyncio.Event()

    async def refuse(reader, writer):
        answer_each.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n")
        await release.wait()

    async with listening(refuse) as port, session() as client, asyncio.timeout(5):
        for _ in range(2):
            response = await target(client, port).post("key", b"x" * 10_000_000)
            assert response.status == 429
            response.close()
            # Else it would hold the body until upstream reads on.
            await asyncio.wait({response._writing})
        release.set()
    assert answer_each.connections == 2


async def test_a_connection_whose_answer_was_read_is_used_again():
    async with listening(answer_each) as port, session() as client:
        texts = []
        for size in (2, SMALL_BYTES, 1_000_000, 2):
            response = await target(client, port).post("key", b"x" * size)
            texts.append(await response.content.read())
            response.close()
    assert texts == [b"1"] * 4


async def test_an_answer_that_is_cut_takes_its_connection_along():
    gone = asyncio.Event()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await reader.read()
        gone.set()

    async with listening(handle) as port, session() as client:
        response = await target(client, port).post("key", b"{}")
        assert await response.content.readany() == b"half"
        response.close()
        async with asyncio.timeout(10):
            await gone.wait()
        with pytest.raises(aiohttp.ClientError):
            await response.content.readany()


async def test_interim_answers_tell_nothing():
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        )
        writer.write(OK)

    async with listening(handle) as port, session() as client:
        response = await target(client, port).post("key", b"{}")
        assert (response.status, await response.content.read()) == (200, b"ok")


async def test_an_answer_without_a_length_goes_to_the_end_of_its_connection():
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with listening(handle) as port, session() as client:
        response = await target(client, port).post("key", b"")
        assert await response.content.read() == b"all of it"


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nA b\r\n\r\n"]
)
async def test_what_is_no_answer_is_an_error(answer):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with listening(handle) as port, session() as client:
        with pytest.raises(aiohttp.ClientError):
            await target(client, port).post("key", b"{}")


async def test_another_protocol_is_no_answer_that_will_come():
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        await reader.read()

    async with listening(handle) as port, session() as client, asyncio.timeout(10):
        with pytest.raises(aiohttp.ClientError):
            await target(client, port).post("key", b"{}")


async def test_a_connection_that_upstream_closed_is_an_error():
    class Stale(Pool):
        async def connect(self, *args, **kwargs):
            connection = await super().connect(*args, **kwargs)
            connection.protocol.transport.abort()
            return connection

    async with listening(answer_each) as port, session(connector=Stale()) as client:
        for size in (2, SMALL_BYTES + 1):
            with pytest.raises(aiohttp.ClientError):
                await target(client, port).post("key", b"x" * size)


async def test_a_connection_that_nobody_takes_is_an_error_of_its_own():
    class Slow(Pool):
        async def _create_connection(self, *_args, **_kwargs):
            raise TimeoutError

    async with session(connector=Slow()) as client:
        with pytest.raises(aiohttp.ConnectionTimeoutError):
            await target(client, 9).post("key", b"{}")


async def test_who_stops_waiting_cuts_the_connection():
    gone = asyncio.Event()

    async def handle(reader, _):
        await reader.read()
        gone.set()

    async with listening(handle) as port, session() as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await target(client, port).post("key", b"x" * 100_000)
        async with asyncio.timeout(10):
            await gone.wait()


async def test_a_body_that_cannot_be_written_is_reported_by_its_answer_alone(monkeypatch):
    async def write(_, piece):
        raise ConnectionResetError

    monkeypatch.setattr(StreamWriter, "write", write)
    await _write_in_pieces(None, b"", b"x")


async def test_a_large_body_is_written_in_pieces_none_of_which_is_a_copy(monkeypatch):
    body, pieces = b"x" * (20 * PIECE_BYTES + 1), []

    async def write(_, piece):
        pieces.append(piece)

    monkeypatch.setattr(StreamWriter, "write", write)
    tracemalloc.start()
    try:
        await _write_in_pieces(None, b"", body)
        assert tracemalloc.get_traced_memory()[1] < PIECE_BYTES
    finally:
        tracemalloc.stop()
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) == PIECE_BYTES


@pytest.mark.parametrize("size", [2, 3_000_000])
async def test_it_goes_over_tls_and_to_no_one_else(size):
    async def answer(request):
        return web.Response(text=f"{request.host} {len(await request.read())}")

    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/", answer)
    serving = TestServer(app)
    await serving.start_server(ssl=server_context("localhost"))
    async with session(connector=Pool(ssl=client_context())) as trusting, session() as doubting:
        url = URL.build(scheme="https", host="localhost", port=serving.port)
        for _ in range(2):
            response = await Target(trusting, url, ClientTimeout()).post("key", b"x" * size)
            answer_body = await response.content.read()
            assert answer_body == f"localhost:{serving.port} {size}".encode()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await Target(doubting, url, ClientTimeout()).post("key", b"x" * size)
    await serving.close()
