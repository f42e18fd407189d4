"""The pool of connections to upstream.

aiohttp's own pool hands out the connection that has been idle longest, which is the one most likely
to be dead, and so keeps all connections of a burst alive. It also closes them after 15 s: with one
request every 20 s each of them would pay for name resolution, TCP and TLS.
"""

import asyncio
import socket
from collections import deque
from functools import partial
from math import inf
from time import monotonic
from typing import Any

import aiohttp
from aiohttp import ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from gateway.network.lookup import address_of
from gateway.network.outgoing import OutgoingConnection
from gateway.network.socket_buffers import RECEIVE_BUFFER_BYTES, Widening
from gateway.upstream.resolver import Resolver

# Enough for one request a minute. Google's front ends keep idle connections for 610 s
# (https://cloud.google.com/load-balancing/docs/https/request-distribution), NATs for minutes.
IDLE_S = 90.0
# This many are kept for `IDLE_S`; further ones, left by a burst, as long as aiohttp would.
KEPT = 16
SPARE_S = 15.0
# A healthy address takes a connection, and TLS, in a fraction of this time.
SUSPECT_AFTER_S = 1.0


class PooledConnection(Widening, OutgoingConnection):
    """One connection of *pool*; *is_reused* is true if it was idle before its present call."""

    buffer_option = socket.SO_RCVBUF
    buffer_bytes = RECEIVE_BUFFER_BYTES
    is_reused = False
    _is_wide = False

    def __init__(self, pool: "Pool", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._pool = pool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, for text at first."""
        super().connection_made(transport)
        self.set_buffer(self.buffer_bytes)

    def reuse(self) -> None:
        """Begin another call."""
        self.is_reused, self._payload = True, None
        self.narrow()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the pool before the waiting call learns of it."""
        self._pool.lost(self)
        super().connection_lost(exc)


class Pool(aiohttp.TCPConnector):
    """An unlimited connection pool; *options* are those of aiohttp's connector."""

    _resolver: Resolver

    def __init__(self, **options: Any) -> None:
        super().__init__(
            # The gateway has caps of its own, and aiohttp's 100 would queue streams.
            limit=0,
            keepalive_timeout=SPARE_S,
            resolver=Resolver(),
            use_dns_cache=False,
            **options,
        )
        self._resolver_owner = True
        # aiohttp has no public way to set the protocol of its connections.
        self._factory = partial(PooledConnection, self, loop=self._loop)  # type: ignore[assignment]

    def lost(self, protocol: PooledConnection) -> None:
        """Close all idle connections if *protocol*, idle before its call, died without an answer.

        They are probably dead as well, and no call has enough attempts for all of them.
        """
        is_answered = protocol._payload is not None  # noqa: SLF001 - not public in aiohttp
        if is_answered or not protocol.is_reused or protocol not in self._acquired:
            return
        for idle in self._conns.values():
            for one, _ in idle:
                one.abort()
        self._conns.clear()

    async def _create_connection(
        self,
        request: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> ResponseHandler:
        """Connect, and report to the resolver which address worked."""
        began_at = self._loop.time()
        url = request.proxy or request.url
        host, port = url.raw_host or "", url.port or 0
        try:
            protocol = await super()._create_connection(request, traces, timeout)
        except BaseException as error:
            # Both a caller that left and aiohttp's time limit cancel this.
            is_cut = isinstance(error, asyncio.CancelledError)
            suspect_after_s = min(SUSPECT_AFTER_S, (timeout.connect or inf) / 2)
            if not is_cut or self._loop.time() - began_at >= suspect_after_s:
                self._resolver.failed(host, port, began_at)
            raise
        # A connection that broke at once has no peer.
        if protocol.transport and (peer := protocol.transport.get_extra_info("peername")):
            self._resolver.reached(host, port, address_of(peer))
        return protocol

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """Return the most recently used idle connection, or None if there is no live one."""
        idle = self._conns.get(key)
        while idle:
            protocol, _ = idle.pop()
            if protocol.should_close:
                protocol.close()
            elif protocol.is_connected():
                assert isinstance(protocol, PooledConnection)
                protocol.reuse()
                self._acquired.add(protocol)
                for trace in traces:
                    await trace.send_connection_reuseconn()
                return Connection(self, key, protocol, self._loop)
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        """Keep a connection for the next call, unless more comes before that call is sent.

        Without a parser whatever comes is kept unread, and `should_close` tells of it. aiohttp
        would take it for the next answer, which is another client's.
        """
        super()._release(key, protocol, should_close=should_close)
        if protocol.is_connected():
            protocol._parser = None  # noqa: SLF001 - not public in aiohttp

    def _cleanup(self) -> None:
        """Close connections that were idle too long; runs every `SPARE_S` while there are any."""
        now = monotonic()
        for key, idle in [*self._conns.items()]:
            kept: deque[tuple[ResponseHandler, float]] = deque()
            for protocol, since in reversed(idle):
                limit_s = IDLE_S if len(kept) < KEPT else SPARE_S
                if protocol.is_connected() and now - since < limit_s:
                    kept.appendleft((protocol, since))
                else:
                    protocol.close()
            if kept:
                self._conns[key] = kept
            else:
                del self._conns[key]
        self._cleanup_handle = (
            self._loop.call_later(SPARE_S, self._cleanup) if self._conns else None
        )
