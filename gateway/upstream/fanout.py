"""Several calls that look like one.

Equal calls give several candidates where the model refuses `n`; different ones share input that is
too much for one. The events of each get the call's number as their index, which tells the reply
where they belong.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from types import TracebackType

from gateway.errors import GatewayError, UpstreamError
from gateway.exchange import CALLS, Batches, Json, Notes, Outcome, UpstreamCall
from gateway.features import MAX_CANDIDATES
from gateway.protocols import Upstream
from gateway.upstream.answer import Answer
from gateway.wire.events import STRANGE

# All candidates of a stream must come concurrently; whole answers may take turns.
MOST_AT_ONCE = MAX_CANDIDATES


class FanOut:
    """The calls that one call stands for; their events are merged in order of arrival.

    Up to *most_at_once* of them wait for their first events concurrently.
    """

    def __init__(
        self,
        upstream: Upstream,
        call: UpstreamCall,
        outcome: Outcome,
        notes: Notes,
        *,
        most_at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._upstream = upstream
        single = replace(call, copies=1, further=())
        further = [replace(single, body=body) for body in call.further]
        self._calls = [single] * call.copies + further
        self._outcome = outcome
        self._notes = notes
        self._stack = AsyncExitStack()
        self._slots = asyncio.Semaphore(most_at_once)
        self._tasks: list[asyncio.Task[None]] = []
        # The latest counts of each call.
        self._usages: list[Json] = [{}] * len(self._calls)
        # At most one batch per call waits here, so a slow client slows all of them down.
        self._queue: asyncio.Queue[list[Json] | Exception | None] = asyncio.Queue(1)
        self._unread: list[Json] = []

    async def __aenter__(self) -> Batches:
        """Wait until every call has its first event. Raises the first `GatewayError`."""
        openings: list[asyncio.Task[Batches]] = []
        try:
            async with asyncio.TaskGroup() as group:
                openings += [group.create_task(self._open(call)) for call in self._calls]
        except BaseException as error:
            # The group's frame in the traceback holds the error: a reference cycle, and all calls.
            error.with_traceback(None)
            for index, opening in enumerate(openings):
                if opening.cancelled():
                    continue
                if (failure := opening.exception()) is None:
                    self._keep_unread(index, opening.result())
                elif isinstance(failure, GatewayError):
                    # Only the first one gets to where all errors are.
                    failure.bare()
            self._report_unread()
            await self._stack.aclose()
            if isinstance(error, ExceptionGroup):
                # The others are equal or were cancelled because of it.
                raise error.exceptions[0] from None
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
        """End all calls."""
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            if error is not None:
                self._report_unread()
            await self._stack.aclose()

    async def _open(self, call: UpstreamCall) -> Batches:
        async with self._slots:
            opening = self._upstream.open(call, self._outcome, self._notes)
            return await self._stack.enter_async_context(opening)

    async def _pump(self, index: int, batches: Batches) -> None:
        try:
            async for events in batches:
                await self._enqueue([self._numbered(event, index) for event in events])
            await self._queue.put(None)
        except Exception as error:  # noqa: BLE001 - raised where all events are read
            await self._queue.put(error)

    async def _enqueue(self, events: list[Json]) -> None:
        try:
            await self._queue.put(events)
        except asyncio.CancelledError:
            self._unread += events
            raise

    def _keep_unread(self, index: int, batches: Batches) -> None:
        """Keep the first events of *batches*, which nobody will read: they are paid for."""
        if isinstance(batches, Answer):
            with suppress(UpstreamError):
                self._unread += [self._numbered(event, index) for event in batches.unread()]

    def _report_unread(self) -> None:
        """Note all events that were not read, and at the end what all calls have cost so far."""
        while not self._queue.empty():
            if isinstance(item := self._queue.get_nowait(), list):
                self._unread += item
        if any(self._usages):
            self._unread.append({"usageMetadata": _sum(self._usages)})
        self._outcome.unread += tuple(self._unread)

    def _numbered(self, event: Json, index: int) -> Json:
        """Return *event* numbered for the call *index*, with what all calls have cost so far.

        Its candidate gets the call's number; an event with usage alone gets a candidate, too.
        Embeddings, which come in one event, get the number themselves. Raises `UpstreamError` for
        candidates of an unknown shape.
        """
        if "embeddings" in event:
            return {**event, "index": index}
        candidates = event.get("candidates") or [{}]
        try:
            numbered = [{**candidate, "index": index} for candidate in candidates]
        except TypeError:
            raise UpstreamError(STRANGE) from None
        event = {**event, "candidates": numbered}
        usage = event.get("usageMetadata")
        if isinstance(usage, dict):
            self._usages[index] = usage
            event["usageMetadata"] = _sum(self._usages)
        return event

    async def _merged(self) -> Batches:
        open_calls = len(self._calls)
        while open_calls:
            item = await self._queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                open_calls -= 1
            else:
                yield item


def _sum(usages: list[Json]) -> Json:
    """Return the counts of all copies as one `usageMetadata`: numbers added, details appended.

    The number of copies is added: the price of a token may depend on how long one prompt is.
    """
    total: Json = {}
    for usage in usages:
        for name, value in usage.items():
            adds = type(value) is type(total.get(name)) and isinstance(value, int | list)
            total[name] = total[name] + value if adds else value
    total[CALLS] = sum(map(bool, usages))
    return total
