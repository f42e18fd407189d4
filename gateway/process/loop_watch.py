"""Logs what blocks the event loop: while it is blocked, nobody is served."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from gateway.log.line import stack

# How often the loop signals that it runs, and how often the watch checks that.
LOOK_S = 0.5
# After this many checks without a signal the loop is blocked. Counted, not timed: a process that
# was suspended as a whole blocked nothing.
LOOKS_IN_VAIN = 2

log = structlog.get_logger()


@contextmanager
def watched(loop: asyncio.AbstractEventLoop, look_s: float = LOOK_S) -> Iterator[None]:
    """Watch the running *loop* inside the context, from a thread of its own."""
    watch = _LoopWatch(loop, look_s)
    watch.start()
    try:
        yield
    finally:
        watch.stop()


class _LoopWatch:
    def __init__(self, loop: asyncio.AbstractEventLoop, look_s: float) -> None:
        self._loop = loop
        self._look_s = look_s
        self._thread_id = threading.get_ident()
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        self._tick()
        threading.Thread(target=self._watch, name="loop-watch", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._ticks += 1
        self._timer = self._loop.call_later(self._look_s, self._tick)

    def _watch(self) -> None:
        seen, in_vain, since = 0, 0, 0.0
        while not self._stopped.wait(self._look_s):
            if self._ticks != seen:
                if in_vain >= LOOKS_IN_VAIN:
                    log.warning("loop_goes_on", seconds=round(time.monotonic() - since, 1))
                seen, in_vain, since = self._ticks, 0, time.monotonic()
                continue
            in_vain += 1
            if in_vain == LOOKS_IN_VAIN:
                # Documented, for debuggers, in spite of its name.
                log.warning("loop_held_up", at=stack(sys._current_frames()[self._thread_id]))  # noqa: SLF001
