"""Listening sockets, made before anything else runs: a taken port ends the start clearly."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress

from aiohttp import AddrInfoType

# Listening queues of this length take a burst of new clients.
BACKLOG = 512
# The kernel would take megabytes for a client that does not read, and the gateway as much again:
# it remembers the text it has sent. Linux doubles the figure: 10 Mbit/s a stream over 100 ms.
SEND_BUFFER_BYTES = 65_536
# The event loop takes at once, and then holds, what has come meanwhile: of an answer that waits
# for its client, up to 256 KB. Doubled, too: 16 Mbit/s over the 50 ms to Gemini's nearest end.
RECEIVE_BUFFER_BYTES = 49_152


class StartError(Exception):
    """The gateway cannot start; the text says why and what to do."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Give the listening sockets of all addresses of *host*; raise `StartError` if one is taken."""
    sockets: list[socket.socket] = []
    try:
        flags = socket.AI_PASSIVE
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        for family, kind, proto, _, address in infos:
            sock = socket.socket(family, kind, proto)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Connections inherit it.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = sockets[0].getsockname()[1] if len(sockets) > 1 else port
            # All addresses share the port that the first one was given.
            sock.bind((address[0], chosen, *address[2:]))
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except (OSError, UnicodeError) as error:
        for sock in sockets:
            sock.close()
        # A text that cannot be a name does not come as far as to be looked up.
        reason = error.strerror if isinstance(error, OSError) else "not the name of a host"
        raise StartError(f"cannot listen on {host} port {port}: {reason}") from None
    return sockets


def accept_queued(sock: socket.socket) -> Iterator[socket.socket]:
    """Accept the connections that wait for that at *sock* now."""
    with suppress(OSError):
        while True:
            yield sock.accept()[0]


def small_socket(address: AddrInfoType) -> socket.socket:
    """Give the socket of a new connection upstream: the answer waits there while nobody reads."""
    family, kind, proto, _, _ = address
    sock = socket.socket(family, kind, proto)
    # Before it connects: the window that TCP offers is chosen then.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return sock


def base_urls(sockets: Iterable[socket.socket], prefix: str) -> list[str]:
    """Give the base URLs under which *sockets* are reached."""
    urls = []
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        urls.append(f"http://{f'[{host}]' if ':' in host else host}:{port}{prefix}")
    return urls
