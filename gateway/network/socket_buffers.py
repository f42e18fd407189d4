"""The kernel's buffers of connections: small for text, large while something large passes.

What a slow client does not read yet stays in them, so their size bounds what it costs. It also
bounds the speed: at most one buffer is under way per round trip, which is plenty for text and takes
seconds for a picture. Large content is held whole anyway, so it gets large buffers.
"""

import asyncio
import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import ClassVar, Final

# For a slow client the kernel would buffer megabytes, and the gateway as much again: it keeps the
# text it has sent. Linux doubles the figure: 10 Mbit/s per stream over 100 ms.
SEND_BUFFER_BYTES: Final = 65_536
# The event loop reads whatever has arrived, up to 256 KB, and holds it for an answer whose client
# is slow. Doubled, too: 16 Mbit/s over the 50 ms to Gemini's nearest end.
RECEIVE_BUFFER_BYTES: Final = 49_152
# Linux allows what `net.core.rmem_max` and `net.core.wmem_max` say, 208 KB by default.
LARGE_BUFFER_BYTES: Final = 4_194_304


class Widening:
    """A connection with a small buffer, of *buffer_bytes*, that can be widened for one message.

    *buffer_option* names it: `SO_RCVBUF`, to be set once connected, as TCP agrees on the largest
    possible window while connecting, or `SO_SNDBUF`.
    """

    __slots__ = ()

    buffer_option: ClassVar[int]
    buffer_bytes: ClassVar[int]
    transport: asyncio.Transport | None
    _is_wide: bool

    def widen(self) -> None:
        """Use a large buffer until `narrow` is called."""
        if not self._is_wide:
            self._is_wide = True  # type: ignore[misc] # the subclass has the slot
            self.set_buffer(LARGE_BUFFER_BYTES)

    def narrow(self) -> None:
        """Use the small buffer again."""
        if self._is_wide:
            self._is_wide = False  # type: ignore[misc] # the subclass has the slot
            self.set_buffer(self.buffer_bytes)

    def set_buffer(self, size: int) -> None:
        """Make the kernel buffer at most twice *size* bytes."""
        sock = None if self.transport is None else self.transport.get_extra_info("socket")
        if sock is None:
            return
        # The connection may just have been lost, and only Linux has the second option, without
        # which the window stays within the size of the first buffer.
        with suppress(OSError, AttributeError):
            sock.setsockopt(socket.SOL_SOCKET, self.buffer_option, size)
            if self.buffer_option == socket.SO_RCVBUF and size > self.buffer_bytes:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, size)


def unacknowledged_bytes(transport: asyncio.Transport) -> int:
    """Return how much of what *transport* was given has not arrived at the other end.

    Its own buffer alone does not show whether the client reads: the kernel takes more only once a
    third of its buffer is free, which is a megabyte of a large one.
    """
    unsent = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Not every system knows this request (Linux: tcp(7), SIOCOUTQ), and the connection may
        # just have been lost.
        with suppress(OSError, ValueError):
            queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
            unsent += int.from_bytes(queued, sys.byteorder)
    return unsent
