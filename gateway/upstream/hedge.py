"""A second, concurrent attempt when the first is slow; the first success counts."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def hedged(
    attempt: Callable[[], Awaitable[T]],
    *,
    after_s: float,
    allowed: Callable[[], bool],
    discard: Callable[[T], None],
) -> T:
    """Make *attempt*, and after *after_s* seconds of silence a second one if *allowed*.

    Returns the first success, else raises the failure that came last. A success that comes too late
    is passed to *discard*.
    """
    running: set[asyncio.Future[T]] = {asyncio.ensure_future(attempt())}
    try:
        done, _ = await asyncio.wait(running, timeout=after_s)
        if not done and allowed():
            running.add(asyncio.ensure_future(attempt()))
        while True:
            done, pending = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in done if task.exception() is None), None)
            if winner is not None:
                running.discard(winner)
                return winner.result()
            if not pending:
                return done.pop().result()
            running = pending
    except asyncio.CancelledError:
        # The caller settles next: what the attempts have cost must be noted by then.
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        raise
    finally:
        for task in running:
            if task.done():
                _discard_late(discard, task)
            else:
                task.cancel()
                task.add_done_callback(partial(_discard_late, discard))


def _discard_late(discard: Callable[[T], None], task: "asyncio.Future[T]") -> None:
    if not task.cancelled() and task.exception() is None:
        discard(task.result())
