"""Several equal calls that look like one with several candidates, for models that refuse `n`.

Every copy's candidate gets the copy's number as its index, by which the reply tells them apart.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.exchange import Batches, Json, Notes, Outcome, UpstreamCall

if TYPE_CHECKING:
    from gateway.upstream.client import GeminiUpstream


class FanOut:
    """The copies of one call, merged in the order their events come."""

    def __init__(
        self, upstream: "GeminiUpstream", call: UpstreamCall, outcome: Outcome, notes: Notes
    ) -> None:
        self._upstream = upstream
        self._call = replace(call, copies=1)
        self._copies = call.copies
        self._outcome = outcome
        self._notes = notes
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        # The latest counts of each copy.
        self._usages: list[Json] = [{}] * call.copies
        # One batch a copy at most waits here, so a slow client holds all copies back.
        self._queue: asyncio.Queue[list[Json] | GatewayError | None] = asyncio.Queue(1)

    async def __aenter__(self) -> Batches:
        """Wait until every copy has its first event. Raises the first `GatewayError`."""
        try:
            async with asyncio.TaskGroup() as group:
                openings = [group.create_task(self._open()) for _ in range(self._copies)]
        except BaseException as error:
            await self._stack.aclose()
            if isinstance(error, ExceptionGroup):
                raise _first(error) from None
            raise
        for index, opening in enumerate(openings):
            self._tasks.append(asyncio.create_task(self._pump(index, opening.result())))
        return self._merged()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all copies."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _open(self) -> Batches:
        opening = self._upstream.open(self._call, self._outcome, self._notes)
        return await self._stack.enter_async_context(opening)

    async def _pump(self, index: int, batches: Batches) -> None:
        try:
            async for events in batches:
                await self._queue.put([self._numbered(event, index) for event in events])
            await self._queue.put(None)
        except GatewayError as error:
            await self._queue.put(error)

    def _numbered(self, event: Json, index: int) -> Json:
        """Give *event* as one of the copy *index*, with what all copies have cost so far.

        Its candidate gets the copy's number; an event with usage alone gets a candidate, too.
        """
        candidates = event.get("candidates") or [{}]
        event = {**event, "candidates": [{**one, "index": index} for one in candidates]}
        usage = event.get("usageMetadata")
        if isinstance(usage, dict):
            self._usages[index] = usage
            event["usageMetadata"] = _sum(self._usages)
        return event

    async def _merged(self) -> Batches:
        open_copies = self._copies
        while open_copies:
            item = await self._queue.get()
            if isinstance(item, GatewayError):
                raise item
            if item is None:
                open_copies -= 1
            else:
                yield item


def _sum(usages: list[Json]) -> Json:
    """Give the counts of all copies as one `usageMetadata`: numbers added, details in a row."""
    total: Json = {}
    for usage in usages:
        for name, value in usage.items():
            adds = type(value) is type(total.get(name)) and isinstance(value, int | list)
            total[name] = total[name] + value if adds else value
    return total


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Give the first failure in *group*; the others are the same or were cancelled by it."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
