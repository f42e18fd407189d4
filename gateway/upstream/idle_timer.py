"""A limit on silence: moved by a float and re-armed only when it fires.

No timer, task or timeout per read: an answer of many reads has one timer.
"""

import asyncio
from collections.abc import Callable

SECOND_LOOK_S = 0.05


class IdleTimer:
    """One timer that calls *expire* once after *seconds* without `touch`."""

    __slots__ = ("_expire", "_handle", "_is_second_look", "_loop", "_seconds", "_touched")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, expire: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expire = expire
        self._touched = loop.time()
        self._is_second_look = False
        self._handle = loop.call_later(seconds, self._check)

    def touch(self) -> None:
        """Restart the silence."""
        self._touched = self._loop.time()

    def restart(self) -> None:
        """Start again after *expire* was called."""
        self._touched = self._loop.time()
        self._handle = self._loop.call_later(self._seconds, self._check)

    def stop(self) -> None:
        """Stop the timer for good."""
        self._handle.cancel()

    def _check(self) -> None:
        due = self._touched + self._seconds
        if due > self._loop.time():
            self._is_second_look = False
            self._handle = self._loop.call_at(due, self._check)
        elif self._is_second_look:
            self._is_second_look = False
            self._expire()
        else:
            # Data that arrived while this process was busy is read before it counts as silence.
            self._is_second_look = True
            self._handle = self._loop.call_later(SECOND_LOOK_S, self._check)
