"""Listening sockets, made before anything else runs: a taken port ends the start clearly."""

import socket
from asyncio import WriteTransport
from collections.abc import Iterable, Iterator
from contextlib import suppress

from aiohttp import AddrInfoType

from gateway.network.socket_buffers import SEND_BUFFER_BYTES

# A queue of this length takes a burst of new clients.
BACKLOG = 512
# A dead network path is silent: by default the kernel waits two hours while nothing is sent, and a
# quarter of an hour for acknowledgements. A model may think for minutes, but its host acknowledges
# probes: with one after 15 s, then one every 5 s, a peer that has acknowledged nothing for 30 s
# (seven transmissions) is gone. The probes also keep NAT entries alive.
DEAD_AFTER_S = 30
_LIVENESS = {
    "TCP_KEEPIDLE": 15,
    # Its name on macOS.
    "TCP_KEEPALIVE": 15,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
}
_LONGEST_MS = 2**31 - 1


class StartError(Exception):
    """The gateway cannot start; the text says why and what to do."""


def listen(host: str, port: int, lost_after_s: float = 60.0) -> list[socket.socket]:
    """Return listening sockets on all addresses of *host*; raise `StartError` if one is taken.

    Clients that disappear silently are cut after *lost_after_s*, at least `DEAD_AFTER_S`.
    """
    sockets: list[socket.socket] = []
    try:
        flags = socket.AI_PASSIVE
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        for family, kind, proto, _, address in infos:
            sock = socket.socket(family, kind, proto)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted connections inherit both.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            watch_peer(sock, max(lost_after_s, DEAD_AFTER_S))
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = sockets[0].getsockname()[1] if len(sockets) > 1 else port
            # All addresses share the port that the first one got.
            sock.bind((address[0], chosen, *address[2:]))
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except (OSError, UnicodeError) as error:
        for sock in sockets:
            sock.close()
        # A text that cannot be a host name fails before it is looked up.
        reason = error.strerror if isinstance(error, OSError) else "not the name of a host"
        raise StartError(f"cannot listen on {host} port {port}: {reason}") from None
    return sockets


def accept_queued(sock: socket.socket) -> Iterator[socket.socket]:
    """Accept the connections that are queued at *sock* now."""
    with suppress(OSError):
        while True:
            yield sock.accept()[0]


def upstream_socket(address: AddrInfoType) -> socket.socket:
    """Return the socket of a new upstream connection.

    It breaks once the other end has acknowledged nothing for `DEAD_AFTER_S`.
    """
    family, kind, proto, _, _ = address
    sock = socket.socket(family, kind, proto)
    watch_peer(sock, DEAD_AFTER_S)
    return sock


def watch_peer(sock: socket.socket, unacknowledged_s: float) -> None:
    """Make *sock* fail when its peer, or the path to it, is gone.

    Sent data may remain unacknowledged, or not accepted, for *unacknowledged_s*; systems without
    that option apply their own limit of many minutes.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    milliseconds = int(min(unacknowledged_s * 1000, _LONGEST_MS))
    for name, value in (_LIVENESS | {"TCP_USER_TIMEOUT": milliseconds}).items():
        # Some systems define the names without supporting the options.
        with suppress(OSError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def hold_last_segment(transport: WriteTransport) -> None:
    """Send the last bytes, if they fill no segment, together with the end of *transport*."""
    with suppress(OSError, AttributeError):
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)


def base_urls(sockets: Iterable[socket.socket], prefix: str) -> list[str]:
    """Return the base URLs under which *sockets* can be reached."""
    urls = []
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        urls.append(f"http://{f'[{host}]' if ':' in host else host}:{port}{prefix}")
    return urls
