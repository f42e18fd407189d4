"""Work in threads, which nothing can stop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do *work* in a thread; a caller that is cancelled meanwhile ends when the work does.

    Until then the thread holds the arguments, and may change them.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            # Perhaps it is cancelled once more: the client leaves, and the gateway stops.
            with suppress(asyncio.CancelledError):
                await asyncio.wait((working,))
        raise
