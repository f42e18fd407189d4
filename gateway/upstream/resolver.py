"""The addresses of upstream: refreshed every minute, stale ones in use while the name server fails.

aiohttp's own cache serves nothing once a name server is silent, and rotates through the addresses,
dead ones included.
"""

import asyncio
import socket
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest

import structlog
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.network.lookup import resolved, system_lookup

FRESH_S = 60.0
# While the name server fails, it is asked this often.
AGAIN_S = 10.0
# How long to wait for a fresh answer before stale data is served (RFC 8767, section 5).
PATIENCE_S = 1.8

log = structlog.get_logger()


@dataclass(slots=True)
class _Name:
    """The addresses of one name, in the order in which to try them."""

    addresses: list[str] = field(default_factory=list)
    fresh_until: float = 0.0
    ordered_at: float = 0.0
    asking: asyncio.Future[list[str]] | None = None


class Resolver(AbstractResolver):
    """The system's resolver, which remembers the addresses and which of them worked."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, int], _Name] = {}

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raise `OSError` if none were ever found."""
        name = self._names.setdefault((host, port), _Name())
        loop = asyncio.get_running_loop()
        if loop.time() >= name.fresh_until:
            asking = self._ask(name, host, port)
            await asyncio.wait({asking}, timeout=PATIENCE_S if name.addresses else None)
            if not name.addresses:
                asking.result()
            if not asking.done() or asking.exception() is not None:
                # A late answer is still used.
                name.fresh_until = loop.time() + AGAIN_S
                log.warning("look_up_failed", host=host, using="previous addresses")
        return resolved(host, port, name.addresses)

    async def close(self) -> None:
        """Cancel pending look-ups."""
        for name in self._names.values():
            if name.asking is not None:
                name.asking.cancel()

    def reached(self, host: str, port: int, address: str) -> None:
        """Try *address* first from now on: a connection to it was made."""
        name = self._names.get((host, port))
        if name is not None and address in name.addresses:
            _begin_with(name, address)

    def failed(self, host: str, port: int, began_at: float) -> None:
        """Look the name up again, and start with the next address, after a failure to connect.

        *began_at*, by the clock of the loop, is when that connection was begun: concurrent failures
        have all tried the same address.
        """
        name = self._names.get((host, port))
        if name is None:
            return
        name.fresh_until = 0.0
        if name.ordered_at <= began_at and len(name.addresses) > 1:
            _begin_with(name, name.addresses[1])

    def _ask(self, name: _Name, host: str, port: int) -> asyncio.Future[list[str]]:
        if name.asking is None:
            # Without IPv6 on this machine its addresses are of no use.
            lookup = system_lookup(host, port, socket.AI_ADDRCONFIG)
            name.asking = asyncio.ensure_future(lookup)
            name.asking.add_done_callback(partial(_learn, name))
        return name.asking


def _learn(name: _Name, asked: asyncio.Future[list[str]]) -> None:
    name.asking = None
    if asked.cancelled() or asked.exception() is not None:
        return
    first = name.addresses[:1]
    name.addresses = _alternating(asked.result())
    name.fresh_until = asked.get_loop().time() + FRESH_S
    if first and first[0] in name.addresses:
        _begin_with(name, first[0])


def _begin_with(name: _Name, address: str) -> None:
    if name.addresses[0] != address:
        place = name.addresses.index(address)
        name.addresses = name.addresses[place:] + name.addresses[:place]
        name.ordered_at = asyncio.get_running_loop().time()


def _alternating(addresses: list[str]) -> list[str]:
    """Return *addresses* alternating between IPv6 and IPv4: often a whole family is broken."""
    first_is_6 = ":" in addresses[0]
    first = [one for one in addresses if (":" in one) == first_is_6]
    second = [one for one in addresses if (":" in one) != first_is_6]
    return [one for pair in zip_longest(first, second) for one in pair if one is not None]
