"""One timer per stream: commits when upstream is slow, and keeps the connection alive.

The stream notes when it writes; the timer checks that when it fires and decides when to fire next.
All frames are written whole, so a keepalive written here never splits one.
"""

import asyncio

from aiohttp import web

from gateway.exchange import Exchange
from gateway.server.answers import EventStream, stamp
from gateway.settings import Upstream

_COMMENT = b": keepalive\n\n"


class Pacemaker:
    """Watches one stream from its request to its last byte."""

    __slots__ = (
        "_exchange",
        "_handle",
        "_loop",
        "_request",
        "_response",
        "_settings",
        "_task",
        "encoding",
    )

    def __init__(
        self,
        request: web.Request,
        response: EventStream,
        exchange: Exchange,
        settings: Upstream,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._response = response
        self._exchange = exchange
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        # A thread that encodes frames of the reply, during which no commit may begin.
        self.encoding: asyncio.Task[bytes] | None = None
        self._handle = self._loop.call_later(self._settings.commit_after_s, self._check)

    async def committed(self) -> None:
        """Wait for a commit under way; none begins afterwards."""
        if self._task is not None:
            await self._task

    def stop(self) -> None:
        """Stop checking."""
        self._handle.cancel()
        if self._task is not None:
            self._task.cancel()

    def _check(self) -> None:
        """Do what is due, and set the timer for what may be due next."""
        now, response = self._loop.time(), self._response
        if response.writing_since is not None:
            # The connection itself cuts clients that do not read.
            self._check_in(self._settings.keepalive_s)
        elif not self._exchange.outcome.begun:
            self._task = self._task or self._loop.create_task(self._commit())
            self._check_in(self._settings.keepalive_s)
        elif (due := response.quiet_since + self._settings.keepalive_s) <= now:
            self._task = self._loop.create_task(self._beat())
            self._check_in(self._settings.keepalive_s)
        else:
            self._check_in(due - now)

    def _check_in(self, seconds: float) -> None:
        self._handle = self._loop.call_later(seconds, self._check)

    async def _commit(self) -> None:
        """Send head and role, so that no proxy on the way waits longer for the first byte."""
        try:
            stamp(self._response, self._exchange)
            await self._response.prepare(self._request)
            while self.encoding is not None and not self.encoding.done():
                await asyncio.wait((self.encoding,))
            self._exchange.outcome.begun = True
            await self._response.write(self._exchange.reply.encode(self._exchange.reply.open()))
        except ConnectionResetError:
            self._exchange.outcome.client_gone = True

    async def _beat(self) -> None:
        """Write a keepalive; the server itself notices a client that is gone."""
        mode = self._settings.keepalive
        # A write under way, perhaps the last one, shows life enough.
        if mode == "off" or self._response.writing_since is not None:
            return
        exchange = self._exchange
        frame = _COMMENT
        if mode == "chunk" or not exchange.dialect.keepalive:
            frame = exchange.reply.encode([exchange.dialect.keepalive])
        try:
            await self._response.write(frame)
        except ConnectionResetError:
            exchange.outcome.client_gone = True
