"""The gateway's side of a TCP connection: what aiohttp's server does not bound or does not hide.

aiohttp reads, parses and writes. Added here: a limit on the time of a request's head and on a
client that stops reading, a cap on connections, JSON instead of plain text for malformed HTTP, a
log that never quotes the request, and paths forgiven by rewriting before routing (a redirect of a
POST is not followed by every client).
"""

import asyncio
import re
import resource
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import HttpVersion11, http_exceptions, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.hdrs import TRANSFER_ENCODING
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from yarl import URL

from gateway import __version__
from gateway.answers import MAX_UNSENT_BYTES
from gateway.dialects.openai_chat.errors import render
from gateway.drain import Drain
from gateway.errors import BadRequest, GatewayError, RequestTimedOut, Unavailable
from gateway.log import place
from gateway.request_loop import RequestLoop
from gateway.shortcuts import Shortcuts

# Above nginx's 60 s, so that it is never the gateway that closes a connection just being used.
KEEPALIVE_S = 75.0
MAX_FIELD_BYTES = 131_072
# Of a whole head, whose fields aiohttp only counts: they came to 16 MB, without any license.
MAX_HEAD_BYTES = 262_144
# So long a client that sends a larger one may read why it is refused.
REFUSED_S = 1.0
# Each request needs a second descriptor for its call upstream, and some must be left for the rest.
CONNECTION_SHARE = 0.45
MAX_DESCRIPTORS = 1_048_576
# So many connections above the cap are still told why; the ones beyond are just closed.
TOLD_ABOVE_CAP = 64
RETRY_S = 1
LOOK_AT_UNSENT_S = 0.02
SLASHES = re.compile("/{2,}")
ALIASES = ("/v1/", "/v1beta/")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection may take."""

    header_timeout_s: float
    send_timeout_s: float
    max_connections: int


@dataclass(frozen=True, slots=True)
class Paths:
    """How paths are forgiven: with *aliases* the bare `/v1` and `/v1beta` lead to *prefix* too."""

    prefix: str
    aliases: bool

    def forgive(self, target: str) -> str:
        """Give the request target with `//` collapsed and one trailing slash removed."""
        path, question, query = target.partition("?")
        if not path.startswith("/"):
            return target
        if "//" in path:
            path = SLASHES.sub("/", path)
        if len(path) > 1:
            path = path.removesuffix("/")
        if self.aliases and f"{path}/".startswith(ALIASES):
            path = self.prefix + path
        return f"{path}{question}{query}"


class Connection(RequestLoop):
    """One client connection."""

    __slots__ = ("_body", "_head_bytes", "_head_timer", "_send_timer", "_unsent")
    _manager: "ConnectionServer | None"

    def __init__(self, manager: "ConnectionServer", **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        # Of the latest request; behind its end all is the next one's head.
        self._body: StreamReader = EMPTY_PAYLOAD
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        assert self._manager is not None
        over = len(self._manager.connections) - self._manager.bounds.max_connections
        if over >= TOLD_ABOVE_CAP:
            # Every transport of a socket can; uvloop's are no subclass of asyncio.Transport.
            transport.abort()  # type: ignore[attr-defined]
            return
        if over >= 0:
            self._request_handler = overloaded
        transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)  # type: ignore[attr-defined]
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of the timers, and of what holds this connection in turn."""
        self._body = EMPTY_PAYLOAD
        for timer in (self._head_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that is not complete with them must be so in time and small."""
        count, in_body = self._request_count, not self._body.is_eof()
        super().data_received(data)
        if self._request_count != count:
            self._body, self._head_bytes = self._messages[-1][1], 0
        elif not in_body:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
                return
        if self._current_request is not None and self._messages:
            self._break_off(self._current_request)
        waiter = self._waiter
        if self._request_count == 0 or (waiter is not None and not waiter.done()):
            if self._head_timer is None and self._manager is not None:
                timeout_s = self._manager.bounds.header_timeout_s
                self._head_timer = self._loop.call_later(timeout_s, self._head_late)
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _break_off(self, request: web.BaseRequest) -> None:
        """Tell who reads the body of *request* if what follows its beginning is not HTTP."""
        content = request.content
        if not content.is_eof() and not isinstance(self._messages[0][0], RawRequestMessage):
            content.set_exception(web.RequestPayloadError("What follows is not HTTP."))

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Go on after a pause: aiohttp does this after each read of a body, paused or not."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def _head_late(self) -> None:
        if self.transport is not None:
            error = RequestTimedOut("The request's head did not arrive in time.")
            self.transport.write(_raw(error))
        self.force_close()

    def _refuse_head(self) -> None:
        """Say that the head is too large and read on a while: closed at once, nobody sees it."""
        if self._close:
            return
        if self.transport is None or self._current_request is not None:
            # Into an answer that is under way no other one can be written.
            self.force_close()
            return
        error = BadRequest(f"The request's head is larger than {MAX_HEAD_BYTES:,} bytes.")
        self.transport.write(_raw(error))
        self.close()
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = self._loop.call_later(REFUSED_S, self.force_close)

    def pause_writing(self) -> None:
        """Hold the reply back; the client must read on in time."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """Go on with the reply."""
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _watch_sending(self) -> None:
        """Cut the connection when nothing was read since the last look, else look again later."""
        transport, manager = self.transport, self._manager
        if transport is None or manager is None:
            return
        unsent = transport.get_write_buffer_size()
        if self._send_timer is not None and unsent >= self._unsent:
            log.info("client_stopped_reading", unsent_bytes=unsent)
            transport.abort()
            return
        self._unsent = unsent
        timeout_s = manager.bounds.send_timeout_s
        self._send_timer = self._loop.call_later(timeout_s, self._watch_sending)

    def close_if_idle(self) -> None:
        """Close a connection on which no request is running."""
        if self._waiter is not None and not self._messages:
            self.force_close()

    async def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> tuple[web.StreamResponse, bool]:
        """Answer *request*, which runs until its last byte is written, as aiohttp calls this."""
        assert self._manager is not None
        drain = self._manager.drain
        # What comes later is not waited for; where that matters, it is refused.
        task = None if drain.begun else drain.enter()
        try:
            return await super()._handle_request(request, start_time, request_handler)
        finally:
            drain.leave(task)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's words, they quote the request
    ) -> web.StreamResponse:
        """Answer malformed HTTP, and what no one else caught, in the client's form."""
        if status >= 500 and not isinstance(exc, ConnectionError):
            self.log_exception(exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, another one cannot follow")
        return answer(_told(status, exc))

    def log_exception(self, *_: Any, **kw: Any) -> None:
        """Log the kind and the place of an exception; its text may quote the request."""
        error = kw.get("exc_info")
        if isinstance(error, BaseException):
            log.error("request_failed", error=type(error).__name__, at=place(error))


class ConnectionServer(web.Server):
    """Makes the connections of one app and bounds their number."""

    def __init__(self, app: web.Application, drain: Drain, bounds: Bounds, paths: Paths) -> None:
        super().__init__(
            self._handled,
            request_factory=self._made,
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,
            auto_decompress=False,
            # A license of any size is a wrong license, not a broken request.
            max_field_size=MAX_FIELD_BYTES,
        )
        self.bounds = bounds
        self._app = app
        self._shortcuts = Shortcuts(app)
        self.drain = drain
        self._paths = paths

    def __call__(self) -> Connection:
        """Give the protocol of one new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def close_idle(self) -> None:
        """Close the connections that wait for a next request."""
        for connection in self.connections:
            assert isinstance(connection, Connection)
            connection.close_if_idle()

    async def sent(self) -> None:
        """Wait until nothing that was written is held here: an answer may have ended before."""
        # Nothing tells of this: a transport says when it holds little, not when nothing.
        while any(  # noqa: ASYNC110
            one.get_write_buffer_size() for one in self._connections.values()
        ):
            await asyncio.sleep(LOOK_AT_UNSENT_S)

    async def _handled(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        if request.version < HttpVersion11 and TRANSFER_ENCODING in request.headers:
            # HTTP/1.0 knows no chunks: a proxy on the way may see another end of this request.
            return answer(BadRequest("HTTP/1.0 has no Transfer-Encoding."))
        # The second is what an AppRunner gives its server.
        handle = self._shortcuts.of(request) or self._app._handle  # noqa: SLF001
        response = await handle(request)
        if self.drain.begun and not response.prepared:
            response.force_close()
        return response

    def _made(
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
            message = self._forgiven(message)
        return self._app._make_request(  # noqa: SLF001 - as above
            message, payload, protocol, writer, task
        )

    def _forgiven(self, message: RawRequestMessage) -> RawRequestMessage:
        target = self._paths.forgive(message.path)
        if target == message.path:
            return message
        path, _, query = target.partition("?")
        url = URL.build(path=path, query_string=query, encoded=True)
        return message._replace(path=target, url=url)


async def overloaded(_: web.BaseRequest) -> web.StreamResponse:
    """Answer on a connection above the cap."""
    message = "Too many connections; try again."
    return answer(Unavailable(message, retry_after=RETRY_S))


async def defer_continue(_: web.Request) -> None:
    """Leave `Expect: 100-continue` to who reads the body: the license is looked at first."""


def answer(error: GatewayError) -> web.Response:
    """Give the last answer of a connection that never came to the app."""
    response = web.json_response(render(error), status=error.status, headers=_headers(error))
    response.force_close()
    return response


def raise_descriptor_limit() -> int:
    """Raise the soft limit on descriptors to the hard one; give the number that may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def connection_cap(configured: int, descriptors: int) -> int:
    """Give how many connections may be open at once; *configured* 0 means all that can be."""
    possible = max(1, int(descriptors * CONNECTION_SHARE))
    return min(configured, possible) if configured else possible


def _told(status: int, exc: BaseException | None) -> GatewayError:
    if status >= 500:
        return GatewayError("The gateway failed on this request.")
    if isinstance(exc, http_exceptions.LineTooLong):
        return BadRequest("The request line or a header is too long.")
    return BadRequest("The request is not valid HTTP.")


def _headers(error: GatewayError) -> dict[str, str]:
    headers = {
        "connection": "close",
        "x-request-id": secrets.token_hex(16),
        "openai-processing-ms": "0",
        "x-gateway-version": __version__,
    }
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:.0f}"
    return headers


def _raw(error: GatewayError) -> bytes:
    """Give a whole answer for a client whose request has not been read."""
    body = web.json_response(render(error)).body
    assert isinstance(body, bytes)
    reason = HTTPStatus(error.status).phrase
    head = [f"HTTP/1.1 {error.status} {reason}", "content-type: application/json"]
    head += [f"{name}: {value}" for name, value in _headers(error).items()]
    head += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body
