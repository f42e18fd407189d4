"""A raw web server for the fetcher's tests: every path misbehaves in its own way."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[["Web", asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> Handler:
    """Answer with *body*; *headers* are lines, each with its line end."""

    async def handle(_web: "Web", writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return handle


def redirect(to: str, status: int = 302) -> Handler:
    return answer(b"", status=f"{status} Found", headers=f"Location: {to}\r\n")


def flood(head: bytes, piece: bytes = bytes(65_536)) -> Handler:
    """Send *head*, then *piece* without end, counting the bytes that the kernel took."""

    async def handle(web: "Web", writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            web.sent += len(piece)

    return handle


async def drip(_web: "Web", writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silence(web: "Web", writer: asyncio.StreamWriter) -> None:
    """Send a head and nothing after it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    await asyncio.Event().wait()


def closing_after(body: bytes) -> Handler:
    """Answer with *body*, whose length only the end of the connection tells."""

    async def handle(_web: "Web", writer: asyncio.StreamWriter) -> None:
        writer.write(ENDLESS + body)
        await writer.drain()
        writer.close()

    return handle


async def announce(_web: "Web", writer: asyncio.StreamWriter) -> None:
    """Announce 1 GB, and send nothing of it."""
    writer.write(HUGE)
    await asyncio.Event().wait()


async def cut(_web: "Web", writer: asyncio.StreamWriter) -> None:
    """Send less than announced, and close."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
    writer.close()


HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
BOMB = gzip.compress(bytes(8_000_000))


class Web:
    """The server: *paths* maps each path to its handler, *seen* are the heads of all requests.

    *reached* are the addresses of ours that were connected to.
    """

    def __init__(self, paths: dict[str, Handler]) -> None:
        self.paths = paths
        self.seen: list[str] = []
        self.reached: list[str] = []
        self.connections = 0
        self.open = 0
        self.most = 0
        self.sent = 0
        self.port = 0
        self.idle = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.reached.append(writer.get_extra_info("sockname")[0].removeprefix("::ffff:"))
        self.open += 1
        self.most = max(self.most, self.open)
        self.idle.clear()
        work = asyncio.ensure_future(self._answer(reader, writer))
        try:
            await work
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self.open -= 1
            if not self.open:
                self.idle.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.seen.append(head)
        path = head.split(" ")[1].partition("?")[0]
        handler = asyncio.ensure_future(self.paths[path](self, writer))
        gone = asyncio.ensure_future(reader.read())
        await asyncio.wait((handler, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        handler.cancel()
        await asyncio.gather(handler, gone, return_exceptions=True)


@asynccontextmanager
async def running(paths: dict[str, Handler], host: str = "127.0.0.1") -> AsyncIterator[Web]:
    """Run a `Web` on a free port of *host*."""
    web = Web(paths)
    server = await asyncio.start_server(web.serve, host, 0)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
        await server.wait_closed()
