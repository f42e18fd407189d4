"""Several pieces of work at a time, of which the first fault ends the others."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def run_all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all *works* concurrently; raise the first fault as it is, not as part of a group."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseException as error:
        # The group's frame in the traceback holds the error: a reference cycle, and all the work.
        error.with_traceback(None)
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from None
        raise
