"""The store of several workers on one machine: counters in shared memory, the rest on a server.

Counting takes microseconds and blocks no other request: while another worker holds the counters of
a license, operations on them are delayed, and done in order once they are free.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from gateway.state.embedded import COUNTERS, SOCKET
from gateway.state.memory import MemoryStore
from gateway.state.rules import Amounts, Plan
from gateway.state.shared_counters import Record, SharedCounters
from gateway.state.store import ActualUse, Grant, StoreDown
from gateway.state.valkey import TIMEOUT_S, ValkeyStore

# A worker holds a lock for microseconds; if it is suspended meanwhile, others wait this long.
PATIENCE_S: Final = 1.0
RETRY_S: Final = 0.001

Operation = Callable[[], object]

_STUCK: Final = "a worker that holds the counters hangs"


class EmbeddedStore(ValkeyStore):
    """Counts in the file, and keeps values on the server, that `embedded.state_server` made.

    *clock* is monotonic and the same for all workers; *wall* determines the days of quotas.
    """

    counts_on_server = False

    def __init__(
        self,
        folder: Path,
        namespace: str,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(f"unix://{folder / SOCKET}", namespace, timeout_s=timeout_s)
        self._shared = SharedCounters(folder / COUNTERS)
        # Does the arithmetic, on counters that are read before and written after.
        self._memory = MemoryStore(clock, wall)
        self._wall = wall
        self._records: dict[str, tuple[Plan, Record]] = {}
        self._delayed: dict[str, list[Operation]] = {}
        # Licenses whose counters somebody waited for in vain: nobody else waits for them.
        self._stuck_licenses: set[str] = set()

    async def close(self) -> None:
        """Finish the delayed operations, and release everything."""
        # Each turn retries the delayed operations.
        for _ in range(int(PATIENCE_S / RETRY_S)):
            if not self._delayed:
                break
            await asyncio.sleep(RETRY_S)
        self._delayed.clear()
        self._shared.close()
        await super().close()

    async def probe(self) -> bool:
        """Free the slots of dead workers, and check whether the server answers."""
        self._shared.free_slots_of_the_dead()
        await super().probe()
        # The counters outlive the server.
        return False

    async def take(self, plan: Plan, demand: Amounts) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them, in one atomic step."""
        record = self._enter_record(plan)
        if record is None:
            if plan.license_id in self._stuck_licenses:
                raise StoreDown(_STUCK)
            return await self._take_later(plan, demand)
        try:
            return self._memory.take_now(plan, demand)
        finally:
            record.leave()

    def revise(self, grant: Grant, demand: Amounts) -> Grant:
        """Reserve *demand* instead of what was reserved; never waits."""
        self._do_or_delay(grant.plan, partial(self._memory.revise, grant, demand))
        return grant

    def settle(self, grant: Grant, use: ActualUse) -> None:
        """Book what the request really used and give back its slot; never waits."""
        self._do_or_delay(grant.plan, partial(self._memory.settle, grant, use))

    def note_values(self, owner: str, ttl_s: float) -> None:
        """Tell all workers that values of the license *owner* are kept for *ttl_s* seconds."""
        # Without room for it nothing is known about the owner, and values are asked for.
        with suppress(StoreDown):
            if not self._shared.keep_until(owner, self._wall() + ttl_s):
                asyncio.get_running_loop().call_later(RETRY_S, self.note_values, owner, ttl_s)

    def may_have_values(self, owner: str) -> bool:
        """Tell whether values of the license *owner* are kept by any worker."""
        return self._shared.kept_until(owner) > self._wall()

    def now(self) -> float:
        """Return the time of this machine."""
        return self._wall()

    async def seed(self, plan: Plan, spent: Mapping[str, int]) -> None:
        """Raise the day's and month's use to *spent*."""
        self._do_or_delay(plan, partial(self._memory.seed_now, plan, spent))

    async def _take_later(self, plan: Plan, demand: Amounts) -> Grant:
        """Wait for the turn of a take; raise `StoreDown` when it takes too long."""
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()

        def take() -> None:
            if not future.done():
                future.set_result(self._memory.take_now(plan, demand))

        self._delay(plan, take)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await future
        except (TimeoutError, asyncio.CancelledError) as error:
            # Its turn may have come just after the wait ended.
            grant = future.result() if future.done() and not future.cancelled() else None
            if grant is not None and grant.refused is None:
                self.settle(grant, ActualUse())
            if isinstance(error, TimeoutError):
                self._stuck_licenses.add(plan.license_id)
                raise StoreDown(_STUCK) from None
            raise

    def _do_or_delay(self, plan: Plan, operation: Operation) -> None:
        record = self._enter_record(plan)
        if record is None:
            self._delay(plan, operation)
            return
        try:
            operation()
        finally:
            record.leave()

    def _delay(self, plan: Plan, operation: Operation) -> None:
        """Do *operation* after those delayed before it: together with the next one, or alone."""
        delayed = self._delayed.get(plan.license_id)
        if delayed is None:
            self._delayed[plan.license_id] = [operation]
            asyncio.get_running_loop().call_soon(self._catch_up, plan)
        else:
            delayed.append(operation)

    def _catch_up(self, plan: Plan) -> None:
        if plan.license_id not in self._delayed:
            return
        record = self._enter_record(plan)
        if record is None:
            asyncio.get_running_loop().call_later(RETRY_S, self._catch_up, plan)
        else:
            record.leave()

    def _enter_record(self, plan: Plan) -> Record | None:
        """Enter the counters of the license of *plan*, after all operations delayed for them.

        The caller has to leave them. None while another worker has them.
        """
        cached = self._records.get(plan.license_id)
        if cached is not None and cached[0] is plan:
            record = cached[1]
        else:
            mapped = self._shared.record(plan.license_id, self._memory.meters(plan))
            if mapped is None:
                return None
            self._records[plan.license_id] = plan, mapped
            record = mapped
        if not record.enter():
            return None
        try:
            for operation in self._delayed.pop(plan.license_id, ()):
                operation()
        except BaseException:
            record.leave()
            raise
        if self._stuck_licenses:
            self._stuck_licenses.discard(plan.license_id)
        return record
