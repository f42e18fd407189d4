"""Name look-ups by the system's resolver, in threads of their own."""

import asyncio
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from aiohttp.abc import ResolveResult


async def system_lookup(host: str, port: int, flags: int = 0) -> list[str]:
    """Return all addresses of *host* by the system's resolver; IPv6 ones with their zone, if any.

    *flags* are those of `getaddrinfo`. A hanging name server blocks nobody else, nor the end of the
    process, which would wait for the threads of a pool. Raises `OSError`.
    """
    answer: Future[list[str]] = Future()
    threading.Thread(
        target=_ask_system, args=(host, port, flags, answer), name="look-up", daemon=True
    ).start()
    return await asyncio.wrap_future(answer)


def _ask_system(host: str, port: int, flags: int, answer: Future[list[str]]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, ValueError) as error:
        answer.set_exception(error)
    else:
        answer.set_result([address_of(info[4]) for info in infos])


def address_of(socket_address: tuple[Any, ...]) -> str:
    """Return the address of a socket address, with the zone that IPv6 keeps separately."""
    host = str(socket_address[0])
    zone = socket_address[3] if len(socket_address) == 4 else 0
    return f"{host}%{zone}" if zone and "%" not in host else host


def resolved(hostname: str, port: int, addresses: Iterable[str]) -> list[ResolveResult]:
    """Return *addresses* in the form of aiohttp's resolvers."""
    return [
        ResolveResult(
            hostname=hostname,
            host=address,
            port=port,
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            proto=socket.IPPROTO_TCP,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for address in dict.fromkeys(addresses)
    ]
