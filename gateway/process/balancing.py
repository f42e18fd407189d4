"""Spreads the connections of one port evenly over its workers.

All workers wait at the same sockets. Left to the event loops, the first one to wake takes whatever
is queued, up to 64 of 64 connections that arrive at once, and behind a proxy that keeps connections
this lasts for hours. Here a worker accepts only while it has hardly more connections than others.
"""

import asyncio
import errno
import os
import socket
import sys
import tempfile
from mmap import mmap
from typing import Final

import structlog
from aiohttp import web

# This worker is not listening: more than any number of connections, also once some are lost.
_AWAY: Final = 1 << 62
_COUNT_BYTES: Final = 8
# A worker may be ahead of the one with the fewest connections by this number and by 3 %. With less,
# workers wait for one another where each connection carries one request.
LEAD: Final = 4
# One with more looks so often whether others have taken the new ones, and takes every fourth that
# they have not: they are busy, or hang.
PAUSE_S: Final = 0.001
TAKEN_ANYWAY: Final = 4
# Until the next try when no descriptor, or no memory for one, is left.
EXHAUSTED_PAUSE_S: Final = 0.1
# At most one line in this time says so.
EXHAUSTED_LOGGED_S: Final = 60.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = structlog.get_logger()


def shared_counts(workers: int) -> int:
    """Return the descriptor of a file with the connection counts of *workers*, all of them away."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("connections")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, _AWAY.to_bytes(_COUNT_BYTES, sys.byteorder) * workers)
    return descriptor


class ConnectionShare:
    """The part of *worker*, a number from 1, in the connections of all.

    *descriptor* is that of `shared_counts`; all processes map the file behind it.
    """

    __slots__ = ("_counts", "_own")

    def __init__(self, descriptor: int, worker: int) -> None:
        self._counts = memoryview(mmap(descriptor, 0)).cast("q")
        self._own = worker - 1

    def join(self) -> None:
        """Begin to accept connections."""
        if self._counts[self._own] > _AWAY // 2:
            self._counts[self._own] = 0

    def leave(self) -> None:
        """Accept none any more, however many are open."""
        self._counts[self._own] = _AWAY

    def add(self, change: int) -> None:
        """Count a connection that was accepted, or lost if *change* is -1."""
        self._counts[self._own] += change

    def may_grow(self) -> bool:
        """Tell whether this worker has hardly more connections than the one with the fewest."""
        fewest = min(self._counts)
        return self._counts[self._own] <= fewest + LEAD + fewest // 32


class BalancedSite(web.BaseSite):
    """Accepts connections at *sock* for *runner*, as far as *share* allows."""

    __slots__ = (
        "_left",
        "_log_again_at",
        "_loop",
        "_new_protocol",
        "_pause",
        "_share",
        "_sock",
        "_starting",
    )

    def __init__(self, runner: web.BaseRunner, sock: socket.socket, share: ConnectionShare) -> None:
        super().__init__(runner)
        assert runner.server is not None
        self._new_protocol = runner.server
        self._loop = asyncio.get_running_loop()
        # How often new connections were left to others.
        self._left = 0
        self._log_again_at = 0.0
        self._pause: asyncio.TimerHandle | None = None
        self._share = share
        self._sock = sock
        self._starting: set[asyncio.Task[object]] = set()

    @property
    def name(self) -> str:
        """Return the address."""
        return str(self._sock.getsockname())

    async def start(self) -> None:
        """Begin to accept."""
        await super().start()
        self._share.join()
        self._loop.add_reader(self._sock, self._on_arrival)

    async def stop(self) -> None:
        """Accept no more, and close the socket."""
        await super().stop()
        self._share.leave()
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _on_arrival(self) -> None:
        if self._share.may_grow():
            while self._accept() and self._share.may_grow():
                pass
            return
        self._left += 1
        if self._left % TAKEN_ANYWAY == 0:
            self._accept()
        self._wait(PAUSE_S)

    def _wait(self, seconds: float) -> None:
        if self._pause is None:
            self._loop.remove_reader(self._sock)
            self._pause = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._on_arrival)

    def _accept(self) -> bool:
        """Accept one connection; tell whether there was one."""
        try:
            accepted, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            # Another worker was faster, or the client has left.
            return False
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            now = self._loop.time()
            if now >= self._log_again_at:
                log.error("accept_failed", reason=error.strerror)  # noqa: TRY400 - no trace needed
                self._log_again_at = now + EXHAUSTED_LOGGED_S
            self._wait(EXHAUSTED_PAUSE_S)
            return False
        accepted.setblocking(False)
        self._share.add(1)
        start = self._loop.connect_accepted_socket(self._new_protocol, accepted)
        task = self._loop.create_task(start)
        self._starting.add(task)
        task.add_done_callback(self._end_start)
        return True

    def _end_start(self, task: "asyncio.Task[object]") -> None:
        self._starting.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._share.add(-1)
