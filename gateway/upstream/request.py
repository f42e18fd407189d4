"""How a call is sent: directly on a connection of aiohttp's pool.

`ClientSession.post` checks every call for cookies, redirects, proxies, passwords, forms, encodings
and traces, none of which an upstream call may ever have: three quarters of its time. Here a request
is a head that was built once, the key, and the body. Everything else is aiohttp's: names, TLS, the
pool, the parser, flow control.
"""

import asyncio

import aiohttp
from aiohttp import ClientRequest, ClientSession, ClientTimeout, hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, StreamWriter
from multidict import CIMultiDictProxy
from yarl import URL

from gateway.upstream.pool import Pool, PooledConnection

# As much as the transport takes without waiting.
SMALL_BYTES = 49_152
PIECE_BYTES = 65_536
# A read is parsed and translated at once: small events take thirty times their size.
READ_BYTES = 8_192
# Raised by a connection that turns out to be dead.
BROKEN = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientConnectionResetError,
)


class _ConnectionRequest(ClientRequest):
    """The request by which a connection is taken from the pool; its key is made once."""

    def __init__(self, session: ClientSession, url: URL, proxy: URL | None) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            hdrs.METH_POST, url, headers=session.headers, loop=loop, session=session, proxy=proxy
        )
        self._key = super().connection_key

    @property
    def connection_key(self) -> ConnectionKey:
        return self._key


class Target:
    """One address that calls are posted to, each with a key of its own.

    An https *url* is reached by a tunnel through *proxy*, an http one, if it is given.
    """

    __slots__ = ("_head", "_pool", "_request", "_timeout")

    def __init__(
        self, session: ClientSession, url: URL, timeout: ClientTimeout, proxy: URL | None = None
    ) -> None:
        assert isinstance(session.connector, Pool)
        self._pool = session.connector
        self._timeout = timeout
        self._request = request = _ConnectionRequest(session, url, proxy)
        # The head that aiohttp would write.
        lines = [f"POST {request.url.raw_path_qs} HTTP/1.1"]
        lines += [
            f"{name}: {value}"
            for name, value in request.headers.items()
            if name != hdrs.CONTENT_LENGTH
        ]
        self._head = "\r\n".join([*lines, "x-goog-api-key: "]).encode()

    async def post(self, key: str, body: bytes, *, may_repeat: bool = True) -> "Response":
        """Send *body* with *key*; return the answer once its head has arrived.

        A pooled connection may have died while idle, which only the first write shows. This is no
        failure of upstream: with *may_repeat* the request is sent once more on a new connection.
        Raises `aiohttp.ClientError`, `TimeoutError`, `OSError`.
        """
        connection = await self._connect()
        protocol = connection.protocol
        assert isinstance(protocol, PooledConnection)
        writing: asyncio.Task[None] | None = None
        try:
            protocol.set_response_params(read_until_eof=True, read_bufsize=READ_BYTES)
            head = b"%b%b\r\nContent-Length: %d\r\n\r\n" % (self._head, key.encode(), len(body))
            if len(body) <= SMALL_BYTES and not protocol.writing_paused:
                _write(protocol, head + body)
            else:
                # An answer may come before upstream has read the body, or instead.
                writing = asyncio.create_task(_write_in_pieces(protocol, head, body))
            return await _read_head(connection, protocol, writing)
        except BaseException as error:
            _release(connection, writing, reusable=False)
            if not (may_repeat and protocol.is_reused and isinstance(error, BROKEN)):
                raise
        return await self.post(key, body, may_repeat=False)

    async def _connect(self) -> Connection:
        try:
            return await self._pool.connect(self._request, [], self._timeout)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError(
                "The upstream did not take a connection."
            ) from None


class Response:
    """An answer whose head has arrived; *content* yields its body."""

    __slots__ = ("_connection", "_writing", "content", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        writing: asyncio.Task[None] | None,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
    ) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self._connection: Connection | None = connection
        self._writing = writing
        content.on_eof(self._end)

    def widen(self) -> None:
        """Receive the rest as fast as possible: it is large and held whole."""
        if self._connection is not None:
            protocol = self._connection.protocol
            assert isinstance(protocol, PooledConnection)
            protocol.widen()

    def close(self) -> None:
        """Cut the connection, unless the body was received to its end: then it is released."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _release(connection, self._writing, reusable=False)
            # It would keep its end-of-stream callback, which holds this answer.
            self.content.set_exception(aiohttp.ClientConnectionError("The answer was cut."))

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _release(connection, self._writing, reusable=True)


async def _read_head(
    connection: Connection, protocol: ResponseHandler, writing: asyncio.Task[None] | None
) -> Response:
    """Wait for the head of the final answer, skipping interim ones (1xx)."""
    try:
        message, content = await protocol.read()
        while 100 <= message.code < 200 and not protocol.upgraded:
            message, content = await protocol.read()
    except HttpProcessingError:
        raise aiohttp.ClientConnectionError("The upstream did not answer in HTTP.") from None
    if message.code < 200:
        raise aiohttp.ClientConnectionError("The upstream changed to another protocol than HTTP.")
    return Response(connection, writing, message.code, message.headers, content)


def _write(protocol: ResponseHandler, data: bytes) -> None:
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError("The upstream closed the connection.")
    transport.write(data)


async def _write_in_pieces(protocol: ResponseHandler, head: bytes, body: bytes) -> None:
    """Write without copying *body*, letting other tasks run between two pieces."""
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    try:
        await writer.write(head)
        view = memoryview(body)
        for start in range(0, len(view), PIECE_BYTES):
            await writer.write(view[start : start + PIECE_BYTES])
            await asyncio.sleep(0)
    except ConnectionError:
        # The connection itself reports this to the reader of the answer.
        return


def _release(connection: Connection, writing: asyncio.Task[None] | None, *, reusable: bool) -> None:
    """Return *connection* to the pool, or cut it: also if part of the body was not sent."""
    # Cutting it also ends the task that writes.
    if reusable and (writing is None or writing.done()):
        connection.release()
    else:
        connection.close()
