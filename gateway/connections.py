"""The server of one app: makes its connections, bounds their number, and leads requests to it."""

import asyncio

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.hdrs import TRANSFER_ENCODING
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from yarl import URL

from gateway.connection import Bounds, Connection
from gateway.drain import Drain
from gateway.errors import BadRequest
from gateway.keys import DRAIN
from gateway.machine import raise_descriptor_limit
from gateway.paths import Paths
from gateway.rejections import rejection
from gateway.settings import Settings
from gateway.shortcuts import Shortcuts

# Above nginx's 60 s, so that it is never the gateway that closes a connection just being used.
KEEPALIVE_S = 75.0
MAX_FIELD_BYTES = 131_072
# Each request needs a second descriptor for its call upstream, and some must be left for the rest.
CONNECTION_SHARE = 0.45
UNSENT_POLL_S = 0.02


class ConnectionServer(web.Server):
    """Makes the connections of one app and bounds their number."""

    def __init__(self, app: web.Application, drain: Drain, bounds: Bounds, paths: Paths) -> None:
        super().__init__(
            self._handle,
            request_factory=self._make_request,
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,
            auto_decompress=False,
            # A license of any size is a wrong license, not a broken request.
            max_field_size=MAX_FIELD_BYTES,
        )
        self._bounds = bounds
        self._app = app
        self._shortcuts = Shortcuts(app)
        self._drain = drain
        self._paths = paths

    def __call__(self) -> Connection:
        """Give the protocol of one new connection."""
        return Connection(self, self._bounds, self._drain, loop=self._loop, **self._kwargs)

    def close_idle(self) -> None:
        """Close the connections that wait for a next request."""
        for connection in self.connections:
            assert isinstance(connection, Connection)
            connection.close_if_idle()

    async def flushed(self) -> None:
        """Wait until nothing that was written is held here: an answer may have ended before."""
        # Nothing tells of this: a transport says when it holds little, not when nothing.
        while any(  # noqa: ASYNC110
            one.get_write_buffer_size() for one in self._connections.values()
        ):
            await asyncio.sleep(UNSENT_POLL_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        if request.version < HttpVersion11 and TRANSFER_ENCODING in request.headers:
            # HTTP/1.0 knows no chunks: a proxy on the way may see another end of this request.
            return rejection(BadRequest("HTTP/1.0 has no Transfer-Encoding."))
        # The second is what an AppRunner gives its server.
        handle = self._shortcuts.of(request) or self._app._handle  # noqa: SLF001
        response = await handle(request)
        if self._drain.begun and not response.prepared:
            response.force_close()
        return response

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.Request:
        if message.chunked:
            # aiohttp's parser hands the last field of a trailer to the next request.
            message = message._replace(should_close=True)
        if message.path not in self._shortcuts:
            message = self._forgive(message)
        return self._app._make_request(  # noqa: SLF001 - as above
            message, payload, protocol, writer, task
        )

    def _forgive(self, message: RawRequestMessage) -> RawRequestMessage:
        target = self._paths.forgive(message.path)
        if target == message.path:
            return message
        path, _, query = target.partition("?")
        url = URL.build(path=path, query_string=query, encoded=True)
        return message._replace(path=target, url=url)


class Runner(web.AppRunner):
    """An `AppRunner` whose server is a `ConnectionServer`."""

    connections: ConnectionServer

    def __init__(self, app: web.Application, settings: Settings) -> None:
        super().__init__(app, shutdown_timeout=1.0)
        self._server_settings = settings.server

    async def _make_server(self) -> web.Server:
        # Starts and freezes the app; the server made along with it is not used.
        await super()._make_server()
        server = self._server_settings
        cap = connection_cap(server.max_connections, raise_descriptor_limit())
        bounds = Bounds(server.header_timeout_s, server.send_timeout_s, cap)
        paths = Paths(server.prefix, server.root_aliases)
        self.connections = ConnectionServer(self.app, self.app[DRAIN], bounds, paths)
        return self.connections


async def defer_continue(_: web.Request) -> None:
    """Leave `Expect: 100-continue` to who reads the body: the license is looked at first."""


def connection_cap(configured: int, descriptors: int) -> int:
    """Give how many connections may be open at once; *configured* 0 means all that can be."""
    possible = max(1, int(descriptors * CONNECTION_SHARE))
    return min(configured, possible) if configured else possible
