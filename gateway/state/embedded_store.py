"""The store of several workers on one machine: counters in shared memory, all else on the server.

Counting takes microseconds and holds up no other request: while another worker has the counters of
a license, what is to be counted is late, and done in its order once they are free.
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
from gateway.state.shared_memory import Record, SharedMemory
from gateway.state.store import Grant, Spent, StoreDown
from gateway.state.valkey import TIMEOUT_S, ValkeyStore

# A worker holds a lock for microseconds; one that was stopped meanwhile is waited for so long.
PATIENCE_S: Final = 1.0
RETRY_S: Final = 0.001

Entry = Callable[[], object]

_STUCK: Final = "a worker that holds the counters does not go on"


class EmbeddedStore(ValkeyStore):
    """Counts in the file, and keeps values on the server, that `embedded.state_server` made.

    *clock* never steps and is the same for all workers; *wall* tells the days of quotas.
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
        self._shared = SharedMemory(folder / COUNTERS)
        # It reckons; what it counts is read before and written after.
        self._memory = MemoryStore(clock, wall)
        self._wall = wall
        self._records: dict[str, tuple[Plan, Record]] = {}
        self._late: dict[str, list[Entry]] = {}
        # Licenses whose counters somebody waited for in vain: nobody else does.
        self._stuck: set[str] = set()

    async def close(self) -> None:
        """Book what is left, and let go."""
        # Each turn tries once more what is late.
        for _ in range(int(PATIENCE_S / RETRY_S)):
            if not self._late:
                break
            await asyncio.sleep(RETRY_S)
        self._late.clear()
        self._shared.close()
        await super().close()

    async def probe(self) -> bool:
        """Give back the slots of dead workers, and see whether the server answers."""
        self._shared.free_the_dead()
        await super().probe()
        # What is counted outlives the server.
        return False

    async def take(self, plan: Plan, demand: Amounts) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them, in one atomic step."""
        record = self._entered(plan)
        if record is None:
            if plan.license_id in self._stuck:
                raise StoreDown(_STUCK)
            return await self._taken_later(plan, demand)
        try:
            return self._memory.take_now(plan, demand)
        finally:
            record.leave()

    def revise(self, grant: Grant, demand: Amounts) -> Grant:
        """Reserve *demand* instead of what was reserved; never waits."""
        self._book(grant.plan, partial(self._memory.revise, grant, demand))
        return grant

    def settle(self, grant: Grant, spent: Spent) -> None:
        """Book what the request really used and give back its slot; never waits."""
        self._book(grant.plan, partial(self._memory.settle, grant, spent))

    def note_values(self, owner: str, ttl_s: float) -> None:
        """Tell all workers that values of the license *owner* are kept for *ttl_s* seconds."""
        # Without room for it nothing is known of the owner, and values are asked for.
        with suppress(StoreDown):
            if not self._shared.keep_until(owner, self._wall() + ttl_s):
                asyncio.get_running_loop().call_later(RETRY_S, self.note_values, owner, ttl_s)

    def may_have_values(self, owner: str) -> bool:
        """Say whether values of the license *owner* are kept by any worker."""
        return self._shared.kept_until(owner) > self._wall()

    async def seed(self, plan: Plan, spent: Mapping[str, int]) -> None:
        """Raise the day's and month's use to *spent*."""
        self._book(plan, partial(self._memory.seed_now, plan, spent))

    async def _taken_later(self, plan: Plan, demand: Amounts) -> Grant:
        """Wait for the turn of a take; raise `StoreDown` when it does not come for long."""
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()

        def take() -> None:
            if not future.done():
                future.set_result(self._memory.take_now(plan, demand))

        self._delay(plan, take)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await future
        except (TimeoutError, asyncio.CancelledError) as error:
            # Its turn may have come just when nobody waited any more.
            grant = future.result() if future.done() and not future.cancelled() else None
            if grant is not None and grant.refused is None:
                self.settle(grant, Spent())
            if isinstance(error, TimeoutError):
                self._stuck.add(plan.license_id)
                raise StoreDown(_STUCK) from None
            raise

    def _book(self, plan: Plan, entry: Entry) -> None:
        record = self._entered(plan)
        if record is None:
            self._delay(plan, entry)
            return
        try:
            entry()
        finally:
            record.leave()

    def _delay(self, plan: Plan, entry: Entry) -> None:
        """Do *entry* once what is late before it is done: with the next that comes, or alone."""
        late = self._late.get(plan.license_id)
        if late is None:
            self._late[plan.license_id] = [entry]
            asyncio.get_running_loop().call_soon(self._catch_up, plan)
        else:
            late.append(entry)

    def _catch_up(self, plan: Plan) -> None:
        if plan.license_id not in self._late:
            return
        record = self._entered(plan)
        if record is None:
            asyncio.get_running_loop().call_later(RETRY_S, self._catch_up, plan)
        else:
            record.leave()

    def _entered(self, plan: Plan) -> Record | None:
        """Give what counts for the license of *plan*, to be left, with all done that was late.

        None while another worker has it.
        """
        known = self._records.get(plan.license_id)
        if known is not None and known[0] is plan:
            record = known[1]
        else:
            found = self._shared.record(plan.license_id, self._memory.meters(plan))
            if found is None:
                return None
            self._records[plan.license_id] = plan, found
            record = found
        if not record.enter():
            return None
        try:
            for entry in self._late.pop(plan.license_id, ()):
                entry()
        except BaseException:
            record.leave()
            raise
        if self._stuck:
            self._stuck.discard(plan.license_id)
        return record
