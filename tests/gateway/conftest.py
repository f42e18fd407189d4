import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from gateway.drain import Drain
from gateway.server.connection import Bounds
from gateway.server.connection_server import ConnectionServer
from gateway.server.paths import Paths

BOUNDS = Bounds(header_timeout_s=5, send_timeout_s=5, max_connections=100)
PATHS = Paths("/gemini", aliases=False)


@pytest.fixture
async def serve_app():
    """Serve an app behind `ConnectionServer` on loopback; gives its port."""
    closing = []

    async def serve(
        app: web.Application,
        bounds: Bounds = BOUNDS,
        paths: Paths = PATHS,
        drain: Drain | None = None,
    ) -> tuple[int, ConnectionServer]:
        runner = web.AppRunner(app)
        await runner.setup()
        server = ConnectionServer(app, drain or Drain(), bounds, paths)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        closing.append((listening, server, runner))
        return listening.sockets[0].getsockname()[1], server

    yield serve
    for listening, server, runner in closing:
        listening.close()
        await server.shutdown(0.1)
        await runner.cleanup()


@pytest.fixture
async def dial():
    """Open raw connections to a port of loopback, closed at the end."""
    writers: list[asyncio.StreamWriter] = []

    async def dial(port: int, sent: bytes = b"") -> tuple[asyncio.StreamReader, Callable]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(sent)
        return reader, writer

    yield dial
    for writer in writers:
        writer.close()
