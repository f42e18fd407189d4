"""The guard of one connection: it resolves the host and admits only checked addresses.

aiohttp asks a resolver for names but not for address literals, and connects through the socket
factory for both. So the guard is both: it refuses a host when any of its addresses is forbidden,
and it makes a socket only for an address that passes the check again.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.media.addresses import Policy
from gateway.media.web_url import Target

Lookup = Callable[[str, int], Awaitable[list[str]]]


class AddressRefusedError(OSError):
    """A host resolves to an address that must not be connected to."""


async def system_lookup(host: str, port: int) -> list[str]:
    """Return all addresses of *host* by the system's resolver; IPv6 ones with their zone, if any.

    A hanging name server blocks nobody else, nor the end of the process, which would wait for the
    threads of a pool.
    """
    answer: Future[list[str]] = Future()
    threading.Thread(
        target=_ask_system, args=(host, port, answer), name="media-dns", daemon=True
    ).start()
    return await asyncio.wrap_future(answer)


def _ask_system(host: str, port: int, answer: Future[list[str]]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        answer.set_exception(error)
    else:
        answer.set_result([_address(info[4]) for info in infos])


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
        return [_result(host, address, port) for address in dict.fromkeys(addresses)]

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for the address in *info*; raise `AddressRefusedError` if forbidden."""
        family, kind, protocol, _, address = info
        if not self._admits(_address(address)):
            raise AddressRefusedError
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _admits(self, address: str) -> bool:
        return self._policy.admits(self._target.host, self._target.port, address)


def _address(socket_address: tuple[Any, ...]) -> str:
    """Return the address of a socket address, with the zone that IPv6 keeps separately."""
    host = str(socket_address[0])
    zone = socket_address[3] if len(socket_address) == 4 else 0
    return f"{host}%{zone}" if zone and "%" not in host else host


def _result(hostname: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=hostname,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
