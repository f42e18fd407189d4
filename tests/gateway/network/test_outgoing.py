"""Connections over TLS end as those without it do, with either event loop."""

import asyncio
import socket
import ssl
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

import aiohttp
import pytest
import uvloop

from gateway.network.outgoing import OutgoingConnection
from tests.tls import client_context, server_context

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"


@pytest.fixture(
    params=[uvloop.new_event_loop, asyncio.SelectorEventLoop], ids=["uvloop", "asyncio"]
)
def run(request):
    """Yield what runs a coroutine on each event loop."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@contextmanager
def serving(handle):
    """Yield the URL of a server whose one connection goes to *handle*, in a thread.

    A thread, because no event loop lets TLS be broken so.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve():
            connection, _ = listening.accept()
            connection.settimeout(10)
            with server_context().wrap_socket(connection, server_side=True) as secure:
                secure.recv(65_536)
                handle(secure)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@asynccontextmanager
async def asking(url):
    """Yield a session and the beginning of its answer from *url*."""
    connector = aiohttp.TCPConnector(ssl=client_context())
    connector._factory = partial(OutgoingConnection, loop=asyncio.get_running_loop())
    async with (
        aiohttp.ClientSession(connector=connector, read_bufsize=8_192) as session,
        session.get(url) as response,
    ):
        yield session, response


def bare(secure: ssl.SSLSocket) -> socket.socket:
    """Return the connection without TLS, which goes on as far as the other side knows."""
    connection = socket.socket(fileno=secure.detach())
    connection.settimeout(10)
    return connection


def end(secure: ssl.SSLSocket, *, told: bool) -> None:
    """End the connection; *told* says whether TLS tells of it first, as it should."""
    if told:
        secure.setblocking(False)
        # Nobody waits for the other side to agree.
        with suppress(OSError):
            secure.unwrap()
    bare(secure).close()


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("size", [30_000, 300_000])
@pytest.mark.parametrize("head", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_what_came_before_the_end_is_read(run, head, size, told):
    ended = threading.Event()

    def handle(secure):
        secure.sendall(head % size + b"x" * size + (b"\r\n0\r\n\r\n" if head == CHUNKED else b""))
        end(secure, told=told)
        ended.set()

    async def read(url):
        async with asking(url) as (_, response):
            # The rest comes while nobody reads; what the kernel holds takes the server's end.
            await asyncio.sleep(0.05)
            return await response.read()

    with serving(handle) as url:
        assert run(read(url)) == b"x" * size
    assert ended.is_set()


def test_text_before_a_break_is_read_and_the_break_told(run):
    def handle(secure):
        secure.sendall(LENGTH % 40_000 + b"x" * 30_000)
        end(secure, told=False)

    async def read(url):
        async with asking(url) as (_, response):
            await asyncio.sleep(0.05)
            seen = await response.content.readexactly(30_000)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
            return seen

    with serving(handle) as url:
        assert run(read(url)) == b"x" * 30_000


def test_what_is_cut_is_gone_at_once_whatever_the_server_says_to_it(run):
    """Closing TLS waits for the server, up to half a minute, in which it may go on answering."""
    gone = threading.Event()

    def handle(secure):
        secure.sendall(LENGTH % 10 + b"half")
        with bare(secure) as connection:
            while connection.recv(65_536):
                pass
        gone.set()

    async def cut(url):
        async with asking(url) as (_, response):
            await response.content.readany()
            response.close()
            assert await asyncio.to_thread(gone.wait, 1)

    with serving(handle) as url:
        run(cut(url))


@pytest.mark.parametrize("size", [30_000, 300_000])
@pytest.mark.parametrize("by", ["the server", "nobody"])
def test_a_session_closes_though_an_answer_was_not_read(run, by, size):
    """Whether its connection was closed before or not."""
    closed = threading.Event()

    def handle(secure):
        secure.sendall(LENGTH % 500_000 + b"x" * size)
        if by == "nobody":
            assert closed.wait(5)
        end(secure, told=False)

    async def leave(url):
        async with asking(url) as (session, _), asyncio.timeout(1):
            await asyncio.sleep(0.05)
            await session.close()
        closed.set()

    with serving(handle) as url:
        run(leave(url))


def test_a_server_is_held_back_while_nobody_reads(run):
    sent = 0

    def handle(secure):
        nonlocal sent
        secure.sendall(LENGTH % 100_000_000)
        # Until the client leaves.
        with suppress(OSError):
            while sent < 100_000_000:
                sent += secure.send(b"x" * 16_384)
        bare(secure).close()

    async def wait(url):
        async with asking(url):
            await asyncio.sleep(0.3)

    with serving(handle) as url:
        run(wait(url))
    # The kernel has most of it, at both ends of the connection.
    assert sent < 24_000_000
