"""The loop of a client connection: request after request, in the connection's own task.

aiohttp makes a task for each request, which begins one turn of the event loop after the request
came and ends one before the next may be examined; a first chunk waits for both. Rare cases are left
to aiohttp: malformed requests, upgrades, and all that follows them on the same connection.
"""

import asyncio
from contextvars import copy_context

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader


class RequestLoop(web.RequestHandler):
    """aiohttp's protocol with its own loop; the names with an underscore are aiohttp's."""

    __slots__ = ()

    async def start(self) -> None:
        """Serve until the connection ends."""
        untouched = copy_context()
        while not self._force_close:
            if not self._messages:
                await self._arrival()
            message, payload = self._messages[0]
            if not isinstance(message, RawRequestMessage) or message.upgrade:
                await super().start()
                return
            self._messages.popleft()
            self._resume_parsing()
            serving = self._serve(message, payload)
            # An idle connection must not keep its last request alive.
            del message, payload
            if not await serving:
                break
            if copy_context() != untouched:
                # Context variables of one request must not reach the next one, perhaps somebody
                # else's.
                follower = self._loop.create_task(self.start(), context=untouched)
                self._task_handler = follower
                return
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _arrival(self) -> None:
        """Wait for the next request."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _resume_parsing(self) -> None:
        """Let the parser continue where pipelined requests have filled the queue."""
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _serve(self, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Answer one request; tell whether the connection continues."""
        assert self._request_factory is not None
        assert self._request_handler is not None
        assert self._task_handler is not None
        writer = StreamWriter(self, self._loop)
        request = self._request_factory(message, payload, self, writer, self._task_handler)
        try:
            response, is_gone = await self._handle_request(request, None, self._request_handler)
            if is_gone:
                return False
            self._keepalive = bool(response.keep_alive)
            if not payload.is_eof():
                await self._linger(payload)
        except ConnectionError:
            return False
        except Exception as error:  # noqa: BLE001 - told in the log, as aiohttp does
            self.log_exception(exc_info=error)
            self.force_close()
        except BaseException:
            self.force_close()
            raise
        finally:
            # Task and request would form a reference cycle.
            request._task = None  # type: ignore[assignment] # noqa: SLF001
        if not self._keepalive or self._close or self._force_close:
            return False
        self._close_when_idle()
        return True

    async def _linger(self, payload: StreamReader) -> None:
        """Read what the client still sends: closed at once, it would not see the answer."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        except TimeoutError:
            self.close()

    def _close_when_idle(self) -> None:
        ends_at = self._loop.time() + self._keepalive_timeout
        self._next_keepalive_close_time = ends_at
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(ends_at, self._process_keepalive)
