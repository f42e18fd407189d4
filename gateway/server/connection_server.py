"""The server of one app: makes its connections, limits their number, dispatches requests."""

import asyncio

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.hdrs import EXPECT, TRANSFER_ENCODING
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from yarl import URL

from gateway.drain import Drain
from gateway.errors import BadRequest
from gateway.keys import DRAIN
from gateway.process.balancing import ConnectionShare
from gateway.process.machine import raise_descriptor_limit
from gateway.server.connection import Bounds, Connection
from gateway.server.paths import Paths
from gateway.server.rejections import rejection
from gateway.server.shortcuts import Shortcuts
from gateway.settings import Settings

# Longer than nginx's 60 s, so that the gateway never closes a connection that is just being used.
KEEPALIVE_S = 75.0
MAX_FIELD_BYTES = 131_072
# Each request needs a second descriptor for its upstream call, and some must remain for the rest.
CONNECTION_SHARE = 0.45
UNSENT_POLL_S = 0.02
CONTINUE = "100-continue"


class ConnectionServer(web.Server):
    """Makes the connections of one app and limits their number."""

    def __init__(self, app: web.Application, drain: Drain, bounds: Bounds, paths: Paths) -> None:
        super().__init__(
            self._handle,
            request_factory=self._make_request,
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,
            auto_decompress=False,
            # An overlong license is a wrong license, not a malformed request.
            max_field_size=MAX_FIELD_BYTES,
        )
        self._bounds = bounds
        self._app = app
        self._shortcuts = Shortcuts(app)
        self._drain = drain
        self._paths = paths
        # Where several workers share the port.
        self.share: ConnectionShare | None = None

    def __call__(self) -> Connection:
        """Return the protocol of one new connection."""
        return Connection(self, self._bounds, self._drain, loop=self._loop, **self._kwargs)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Remove a connection."""
        super().connection_lost(handler, exc)
        if self.share is not None:
            self.share.add(-1)

    def close_idle(self) -> None:
        """Close the connections that wait for their next request."""
        for connection in self.connections:
            assert isinstance(connection, Connection)
            connection.close_if_idle()

    async def flushed(self) -> None:
        """Wait until nothing written is buffered here: answers may end before their bytes leave."""
        # No event reports this: transports signal a low buffer, not an empty one.
        while any(  # noqa: ASYNC110
            one.get_write_buffer_size() for one in self._connections.values()
        ):
            await asyncio.sleep(UNSENT_POLL_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        if request.version < HttpVersion11 and TRANSFER_ENCODING in request.headers:
            # HTTP/1.0 has no chunked encoding: a proxy on the way may see another end of this
            # request.
            return rejection(BadRequest("HTTP/1.0 has no Transfer-Encoding."))
        handle = self._shortcuts.of(request)
        if handle is None:
            if request.headers.get(EXPECT, CONTINUE).lower() != CONTINUE:
                # aiohttp would quote it, as plain text, and fail if it is not UTF-8.
                return rejection(BadRequest(f"The only known expectation is {CONTINUE}."))
            # `_handle` is what an `AppRunner` gives its server.
            handle = self._app._handle  # noqa: SLF001
        response = await handle(request)
        if self._drain.leaving:
            # If it began before, its head promised more; the next request would be refused.
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
        # After a chunked body aiohttp's parser would attribute the last trailer field to the next
        # request; while the gateway stops, heads should not promise that there may be one.
        if message.chunked or self._drain.leaving:
            message = message._replace(should_close=True)
        if message.path not in self._shortcuts:
            message = self._normalised(message)
        return self._app._make_request(  # noqa: SLF001 - as above
            message, payload, protocol, writer, task
        )

    def _normalised(self, message: RawRequestMessage) -> RawRequestMessage:
        target = self._paths.normalised(message.path)
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
        # Starts and freezes the app; the server that it also makes is not used.
        await super()._make_server()
        server = self._server_settings
        cap = connection_cap(server.max_connections, raise_descriptor_limit())
        bounds = Bounds(server.header_timeout_s, server.send_timeout_s, cap)
        paths = Paths(server.prefix, server.root_aliases)
        self.connections = ConnectionServer(self.app, self.app[DRAIN], bounds, paths)
        return self.connections


async def defer_continue(_: web.Request) -> None:
    """Leave `Expect: 100-continue` to the reader of the body: the license is checked first."""


def connection_cap(configured: int, descriptors: int) -> int:
    """Return how many connections may be open at once; *configured* 0 means as many as possible."""
    possible = max(1, int(descriptors * CONNECTION_SHARE))
    return min(configured, possible) if configured else possible
