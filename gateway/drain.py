"""How the gateway stops: no new requests, running ones finish or are ended at the time limit.

`service` begins the drain and ends it. A connection enters each request from its arrival to the
last byte of its answer, and `relay` admits what has been entered. At the time limit every entered
task is cancelled while `over` is set: code that catches that `CancelledError` and sees `over` tells
the client and returns, instead of treating it as a client that left.
"""

import asyncio

from gateway.errors import Unavailable

RETRY_AFTER_S = 0.25


def restarting() -> Unavailable:
    """Return the error for clients whose requests a stop cuts off."""
    return Unavailable("The gateway is restarting; try again.", retry_after=RETRY_AFTER_S)


class Drain:
    """Whether the gateway is stopping, and which requests still run.

    *leaving*: connections end with their next answer. *begun*: no new request is admitted. *over*:
    the time limit has passed, running requests end now.
    """

    __slots__ = ("_idle", "_loop", "_running", "begun", "leaving", "over")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.leaving = False
        self.begun = False
        self.over = False
        self._running: set[asyncio.Task[object]] = set()
        self._idle = asyncio.Event()

    @property
    def count(self) -> int:
        """The number of running requests."""
        return len(self._running)

    def enter(self) -> asyncio.Task[object] | None:
        """Count the current task as a running request and return it, to be passed to `leave`.

        Returns None if it is counted already, by a caller that leaves later. Raises `Unavailable`
        for a new one once the drain has begun.
        """
        # Asking for the loop costs a system call each time in Python 3.11.
        self._loop = self._loop or asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        assert task is not None
        if task in self._running:
            return None
        if self.begun:
            raise restarting()
        self._running.add(task)
        return task

    def leave(self, task: asyncio.Task[object] | None) -> None:
        """Stop counting *task*; None stands for one that is still counted elsewhere."""
        if task is None:
            return
        self._running.discard(task)
        if not self._running:
            self._idle.set()

    def leave_connections(self) -> None:
        """End each connection with its next answer, and still admit requests."""
        self.leaving = True

    def begin(self) -> None:
        """Admit no new request."""
        self.leaving = self.begun = True

    async def finished(self, timeout_s: float | None) -> bool:
        """Wait for the running requests; tell whether all ended within *timeout_s*, if given."""
        if not self._running:
            return True
        self._idle.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def end(self) -> None:
        """End the requests that still run."""
        self.leaving = self.begun = self.over = True
        for task in tuple(self._running):
            task.cancel()
