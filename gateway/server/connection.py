"""The server side of one client connection: aiohttp's, with the bounds that it lacks.

aiohttp reads, parses and writes. Added here: a limit on the time and size of a request's head, a
limit on clients that stop reading, a cap on connections, JSON instead of plain text for malformed
HTTP, and a log that never quotes the request.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.drain import Drain
from gateway.errors import BadRequest, RequestTimedOut
from gateway.log.line import place
from gateway.network.socket_buffers import SEND_BUFFER_BYTES, Widening, unacknowledged_bytes
from gateway.server.answers import MAX_UNSENT_BYTES
from gateway.server.rejections import error_of, overloaded, rejection, rejection_bytes
from gateway.server.request_loop import RequestLoop

# Of a whole head. aiohttp only limits the number of fields: 16 MB could be sent without a license.
MAX_HEAD_BYTES = 262_144
# How long a client that exceeds the limit may take to read the refusal.
REFUSAL_LINGER_S = 1.0
# This many connections above the cap still get an answer; those beyond are closed at once.
ANSWERED_ABOVE_CAP = 64

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one connection."""

    header_timeout_s: float
    send_timeout_s: float
    max_connections: int


class Connection(Widening, RequestLoop):
    """One client connection."""

    buffer_option = socket.SO_SNDBUF
    # Inherited from the listening socket.
    buffer_bytes = SEND_BUFFER_BYTES

    __slots__ = (
        "_body",
        "_bounds",
        "_drain",
        "_head_bytes",
        "_head_timer",
        "_is_wide",
        "_send_timer",
        "_unsent",
    )

    def __init__(self, server: web.Server, bounds: Bounds, drain: Drain, **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self._bounds = bounds
        self._drain = drain
        # Of the latest request; all bytes after its end belong to the next head.
        self._body: StreamReader = EMPTY_PAYLOAD
        self._is_wide = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, unless there are too many."""
        assert self._manager is not None
        over = len(self._manager.connections) - self._bounds.max_connections
        if over >= ANSWERED_ABOVE_CAP:
            # All socket transports have `abort`; uvloop's are no subclass of `asyncio.Transport`.
            transport.abort()  # type: ignore[attr-defined]
            return
        if over >= 0:
            self._request_handler = overloaded
        transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)  # type: ignore[attr-defined]
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the timers and drop references, so that no cycle keeps the connection alive."""
        self._body = EMPTY_PAYLOAD
        for timer in (self._head_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; an incomplete head must be completed in time and within the size limit."""
        if self._messages:
            # Behind an upgrade that nobody took, aiohttp itself queues what had arrived.
            self._body = self._messages[-1][1]
        count, in_body = self._request_count, not self._body.is_eof()
        super().data_received(data)
        if self._request_count != count:
            self._body, self._head_bytes = self._messages[-1][1], 0
        elif not in_body and not self._upgraded:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
                return
        if self._current_request is not None and self._messages:
            self._break_off(self._current_request)
        waiter = self._waiter
        if self._request_count == 0 or (waiter is not None and not waiter.done()):
            # Old clients send a line end behind a body: it begins no head.
            if self._head_timer is None and self._manager is not None and data.strip(b"\r\n"):
                timeout_s = self._bounds.header_timeout_s
                self._head_timer = self._loop.call_later(timeout_s, self._expire_head)
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _break_off(self, request: web.BaseRequest) -> None:
        """Fail the body of *request* if what follows its beginning is not HTTP."""
        content = request.content
        if not content.is_eof() and not isinstance(self._messages[0][0], RawRequestMessage):
            content.set_exception(web.RequestPayloadError("What follows is not HTTP."))

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Resume reading; aiohttp calls this after each read of a body, paused or not."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def _expire_head(self) -> None:
        if self.transport is not None:
            error = RequestTimedOut("The request's head did not arrive in time.")
            self.transport.write(rejection_bytes(error))
        self.force_close()

    def _refuse_head(self) -> None:
        """Refuse a head that is too large, and read on a while: else the answer would be lost."""
        if self._close:
            return
        if self.transport is None or self._current_request is not None:
            # No second answer can be written into one that is under way.
            self.force_close()
            return
        error = BadRequest(f"The request's head is larger than {MAX_HEAD_BYTES:,} bytes.")
        self.transport.write(rejection_bytes(error))
        self.close()
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = self._loop.call_later(REFUSAL_LINGER_S, self.force_close)

    def pause_writing(self) -> None:
        """Pause the reply; the client must read on within the limit."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """Resume the reply."""
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _watch_sending(self) -> None:
        """Cut the connection if nothing was read since the last check, else check again later."""
        transport = self.transport
        if transport is None or self._manager is None:
            return
        unsent = unacknowledged_bytes(transport)
        if self._send_timer is not None and unsent >= self._unsent:
            log.info("client_stopped_reading", unsent_bytes=unsent)
            transport.abort()
            return
        self._unsent = unsent
        timeout_s = self._bounds.send_timeout_s
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
        self.narrow()
        if self._messages:
            self._break_off(request)
        else:
            self._body = request.content
        drain = self._drain
        # Requests that come later are not waited for; where that matters, they are refused.
        task = None if drain.begun else drain.enter()
        try:
            return await super()._handle_request(request, start_time, request_handler)
        finally:
            drain.leave(task)
            # A cancelled task keeps its exception, whose traceback holds this frame: a reference
            # cycle, which would keep the request with all its media.
            del task

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
        return rejection(error_of(status, exc))

    def log_exception(self, *_: Any, **kw: Any) -> None:
        """Log the kind and the place of an exception; its text may quote the request."""
        error = kw.get("exc_info")
        # That a body breaks off, which may be found after its answer, is no failure of the gateway.
        if isinstance(error, BaseException) and not isinstance(error, web.RequestPayloadError):
            log.error("request_failed", error=type(error).__name__, at=place(error))
