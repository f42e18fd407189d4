"""The connections to upstream, and which of them wait for a next call.

aiohttp's own pool gives the connection that has been idle longest, which keeps all of a burst's
alive and is the one most likely to be dead, and forgets each after 15 s: whoever asks every 20 s
pays for names, TCP and TLS every time.
"""

import asyncio
from collections import deque
from functools import partial
from time import monotonic
from typing import Any

import aiohttp
from aiohttp import ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from gateway.lookup import address_of
from gateway.outgoing import OutgoingConnection
from gateway.upstream.resolver import Resolver

# One request a minute finds its connection. Google's front ends keep an idle one for 610 s
# (https://cloud.google.com/load-balancing/docs/https/request-distribution), a NAT for minutes.
IDLE_S = 90.0
# So many are kept so long; the others of a burst go after what aiohttp would give all of them.
KEPT = 16
SPARE_S = 15.0


class PooledConnection(OutgoingConnection):
    """One connection of *pool*. *is_reused* tells that it has waited for its present call."""

    is_reused = False

    def __init__(self, pool: "Pool", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._pool = pool

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the pool, before whoever waits for an answer hears of it."""
        self._pool.lost(self)
        super().connection_lost(exc)


class Pool(aiohttp.TCPConnector):
    """Any number of connections; *options* are those of aiohttp's connector."""

    _resolver: Resolver

    def __init__(self, **options: Any) -> None:
        super().__init__(
            # The gateway's own caps hold, aiohttp's 100 would queue streams.
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
        """Cut all that wait if *protocol*, which had waited too, died before it was answered.

        They may be as dead, and no call has tries enough for all of them.
        """
        is_answered = protocol._payload is not None  # noqa: SLF001 - aiohttp tells it nowhere else
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
        """Connect, and learn which addresses are of use."""
        began_at = self._loop.time()
        url = request.proxy or request.url
        host, port = url.raw_host or "", url.port or 0
        try:
            protocol = await super()._create_connection(request, traces, timeout)
        except BaseException:
            self._resolver.failed(host, port, began_at)
            raise
        # One that broke at once has none.
        if protocol.transport and (peer := protocol.transport.get_extra_info("peername")):
            self._resolver.reached(host, port, address_of(peer))
        return protocol

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:  # noqa: ARG002 - aiohttp's
        """Give the connection that was used last, None where no live one waits."""
        idle = self._conns.get(key)
        while idle:
            protocol, _ = idle.pop()
            if protocol.is_connected():
                assert isinstance(protocol, PooledConnection)
                protocol.is_reused, protocol._payload = True, None  # noqa: SLF001
                self._acquired.add(protocol)
                return Connection(self, key, protocol, self._loop)
        return None

    def _cleanup(self) -> None:
        """Close what has waited too long; aiohttp calls this `SPARE_S` after one began to wait."""
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
