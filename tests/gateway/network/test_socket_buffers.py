"""Socket buffers: small for text, large while something large passes, small again afterwards."""

import asyncio
import socket

import aiohttp
import pytest

from gateway.network.socket_buffers import (
    RECEIVE_BUFFER_BYTES,
    SEND_BUFFER_BYTES,
    Widening,
    unacknowledged_bytes,
)
from gateway.server.answers import LARGE_BYTES, EventStream, WholeAnswer
from tests.gateway.raw_http import app_of


class Receiver(Widening, asyncio.Protocol):
    """Reads nothing."""

    buffer_option = socket.SO_RCVBUF
    buffer_bytes = RECEIVE_BUFFER_BYTES
    _is_wide = False

    def connection_made(self, transport):
        self.transport = transport
        transport.pause_reading()
        self.set_buffer(self.buffer_bytes)


def size(protocol) -> int:
    """Return the size of *protocol*'s buffer; Linux doubles what it is asked for."""
    sock = protocol.transport.get_extra_info("socket")
    return sock.getsockopt(socket.SOL_SOCKET, protocol.buffer_option) // 2


async def accepted_bytes(writer: socket.socket) -> int:
    """Return how much *writer* can send before its peer reads anything."""
    count = 0
    for _ in range(50):
        try:
            while True:
                count += writer.send(bytes(16_384))
        except BlockingIOError:
            await asyncio.sleep(0.005)
    return count


async def test_a_wide_connection_takes_much_more_while_nobody_reads():
    taken = []
    for is_wide in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
            loop = asyncio.get_running_loop()
            _, receiver = await loop.create_connection(Receiver, *server.getsockname())
            if is_wide:
                receiver.widen()
            with server.accept()[0] as writer:
                writer.setblocking(False)
                taken.append(await accepted_bytes(writer))
            receiver.transport.abort()
            await asyncio.sleep(0)
    assert taken[0] < 3 * RECEIVE_BUFFER_BYTES
    # Even where the system allows no more than by default.
    assert taken[1] > 1.5 * taken[0]


def test_what_is_not_connected_cannot_be_changed_and_does_not_fail():
    receiver = Receiver()
    receiver.transport = None
    receiver.widen()
    receiver.narrow()
    assert not receiver._is_wide


async def test_a_large_answer_is_sent_with_a_large_buffer(serve_app):
    sizes = []

    async def handle(request):
        sizes.append(size(request.protocol))
        return WholeAnswer(b"x" * (LARGE_BYTES + 1 if len(sizes) == 1 else 10), 200, {})

    port, server = await serve_app(app_of(handle))
    url = f"http://127.0.0.1:{port}/"
    async with aiohttp.ClientSession() as client:
        for _ in range(2):
            async with client.get(url) as response:
                await response.read()
            (connection,) = server.connections
            sizes.append(size(connection))
    assert sizes[1] > 2 * SEND_BUFFER_BYTES
    assert sizes[2] == sizes[3] == SEND_BUFFER_BYTES


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_a_large_chunk_is_sent_with_a_large_buffer(serve_app, connection):
    sizes = []

    async def handle(request):
        response = EventStream(asyncio.get_running_loop().time, {})
        await response.prepare(request)
        for length in (10, LARGE_BYTES + 1):
            await response.write(b"x" * length)
            sizes.append(size(request.protocol))
        await response.write_eof()
        return response

    port, _ = await serve_app(app_of(handle))
    async with (
        aiohttp.ClientSession(headers={"Connection": connection}) as client,
        client.get(f"http://127.0.0.1:{port}/") as response,
    ):
        assert len(await response.read()) == LARGE_BYTES + 11
    assert sizes[1] != sizes[0]
    assert sizes[1] > 2 * SEND_BUFFER_BYTES


async def test_what_the_kernel_holds_for_a_slow_client_counts_as_unread():
    read = 200_000
    with socket.create_server(("127.0.0.1", 0)) as server:
        loop = asyncio.get_running_loop()
        # Long before so much is read, the sender's own buffer stays as it is.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname())
        sender = transport.get_extra_info("socket")
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_194_304)
        with server.accept()[0] as reader:
            reader.setblocking(False)
            transport.write(bytes(12_000_000))
            await asyncio.sleep(0.05)
            before = unacknowledged_bytes(transport)
            assert before > transport.get_write_buffer_size()
            while read > 0:
                read -= len(await loop.sock_recv(reader, read))
            await asyncio.sleep(0.05)
            assert unacknowledged_bytes(transport) < before
        transport.abort()
    await asyncio.sleep(0)
    assert unacknowledged_bytes(transport) == 0
