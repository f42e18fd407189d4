"""The guard of one connection: it resolves the host and admits only checked addresses.

aiohttp asks a resolver for names but not for address literals, and connects through the socket
factory for both. So the guard is both: it refuses a host when any of its addresses is forbidden,
and it makes a socket only for an address that passes the check again.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.media.addresses import Policy
from gateway.media.web_url import Target
from gateway.network.lookup import address_of, resolved

Lookup = Callable[[str, int], Awaitable[list[str]]]


class AddressRefusedError(OSError):
    """A host resolves to an address that must not be connected to."""


class Guard(AbstractResolver):
    """Resolver and socket factory for one hop to one target."""

    def __init__(self, target: Target, policy: Policy, lookup: Lookup) -> None:
        self._target = target
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raise `AddressRefusedError` if any is forbidden."""
        addresses = await self._lookup(host, port)
        if not addresses or not all(map(self._admits, addresses)):
            raise AddressRefusedError
        return resolved(host, port, addresses)

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for the address in *info*; raise `AddressRefusedError` if forbidden."""
        family, kind, protocol, _, address = info
        if not self._admits(address_of(address)):
            raise AddressRefusedError
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _admits(self, address: str) -> bool:
        return self._policy.admits(self._target.host, self._target.port, address)
