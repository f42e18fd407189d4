"""The state server, and the policy that applies while it is down.

Three failures in a row open the breaker: from then on nobody waits, and the policy decides. *local*
lets this node admit its share, the limit divided by the last known number of nodes; *allow* admits
everybody; *deny* nobody. One task per process checks each second whether the server is back, renews
slots, and pulls what other processes published.
"""

import asyncio
import time
from collections.abc import Mapping
from itertools import count
from typing import Final

import structlog

from gateway.errors import Unavailable
from gateway.settings import OnStoreFailure, Settings
from gateway.state.breaker import Breaker
from gateway.state.memory import MemoryStore
from gateway.state.rules import Amounts, Plan
from gateway.state.store import ActualUse, Grant, News, Publish, Seeder, StoreDown
from gateway.state.valkey import ValkeyStore

TICK_S: Final = 1.0
LOG_EVERY_S: Final = 60.0
RETRY_AFTER_S: Final = 1.0
# Seeding many licenses takes longer; slots must be renewed meanwhile.
SEEDING_TURN_S: Final = 0.1

_log = structlog.get_logger()


class GuardedStore:
    """Counts in *shared* while that answers, by *policy* while it does not."""

    def __init__(self, shared: ValkeyStore, policy: OnStoreFailure) -> None:
        self._shared = shared
        self._policy = policy
        self._local = MemoryStore()
        self._breaker = Breaker()
        self.seeders: list[Seeder] = []
        self._logged_at = -LOG_EVERY_S
        self._has_logged_down = False
        self._unseeded = True
        self._seeding: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def degraded(self) -> bool:
        """Tell whether this process currently counts alone, or not at all."""
        return self._breaker.open and self._shared.counts_on_server

    async def check(self) -> str | None:
        """Return the reason why requests cannot be served: only *deny* refuses them."""
        if self.degraded and self._policy == "deny":
            return "the state server does not answer"
        return None

    async def reload(self, settings: Settings) -> None:
        """Apply the policy of *settings*."""
        self._policy = settings.limits.on_store_failure

    async def open(self) -> None:
        """Connect, and start the watch."""
        await self._tick(renew=True)
        self._watch = asyncio.create_task(self._keep_watch())

    async def close(self) -> None:
        """Stop the watch and disconnect."""
        for task in (self._watch, self._seeding):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._shared.close()

    async def take(self, plan: Plan, demand: Amounts) -> Grant:
        """Take from the shared counters; while they are unavailable follow the policy."""
        if not self.degraded:
            try:
                grant = await self._shared.take(plan, demand)
            except StoreDown as error:
                self._note_failure(error)
            else:
                if self._breaker.doubtful and self._shared.counts_on_server:
                    self._breaker.worked()
                return grant
        return await self._take_alone(plan, demand)

    def revise(self, grant: Grant, demand: Amounts) -> Grant:
        """Reserve *demand* instead, in the store that made *grant*."""
        return (self._local if grant.degraded else self._shared).revise(grant, demand)

    def settle(self, grant: Grant, use: ActualUse) -> None:
        """Settle in the store that made *grant*."""
        (self._local if grant.degraded else self._shared).settle(grant, use)

    def now(self) -> float:
        """Return the time of the shared store."""
        return self._shared.now()

    async def seed(self, plan: Plan, spent: Mapping[str, int]) -> None:
        """Seed the shared counters; a server that is down is seeded when it is back."""
        try:
            await self._shared.seed(plan, spent)
        except StoreDown:
            self._unseeded = True

    async def get(self, keys: list[str]) -> list[bytes | None]:
        """Return the values of *keys*; None for all of them while the server is down."""
        # A request that has just waited in vain to be admitted must not wait for this, too.
        if not self._breaker.doubtful:
            try:
                return await self._shared.get(keys)
            except StoreDown as error:
                self._note_failure(error)
        return [None] * len(keys)

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep *value*, unless the server is down."""
        if not self._breaker.open:
            self._shared.put(key, value, ttl_s)

    def note_values(self, owner: str, ttl_s: float) -> None:
        """Tell the others, unless the server is down."""
        if not self._breaker.open:
            self._shared.note_values(owner, ttl_s)

    def may_have_values(self, owner: str) -> bool:
        """Tell what is known of the license *owner*."""
        return self._shared.may_have_values(owner)

    def table(self, name: str, news: News, /) -> Publish:
        """Join the table *name*."""
        return self._shared.table(name, news)

    async def _take_alone(self, plan: Plan, demand: Amounts) -> Grant:
        if self._policy == "deny":
            raise Unavailable(
                "Limits cannot be checked now, and this gateway refuses requests meanwhile.",
                retry_after=RETRY_AFTER_S,
            )
        plan = plan.share(self._shared.nodes) if self._policy == "local" else plan.without_rules()
        grant = await self._local.take(plan, demand)
        grant.degraded = True
        return grant

    async def _keep_watch(self) -> None:
        ticks_per_renewal = max(1, int(self._shared.slot_ttl_s / 3 / TICK_S))
        for tick in count(1):
            await self._pause()
            # Only a renewal shows that the server accepts changes, too.
            await self._tick(renew=self._breaker.doubtful or not tick % ticks_per_renewal)

    async def _pause(self) -> None:
        """Wait until the next tick is due: at once when seeding ends, which closes the breaker."""
        if self._seeding is not None and not self._seeding.done():
            await asyncio.wait((self._seeding,), timeout=TICK_S)
            if not self._unseeded:
                return
        await asyncio.sleep(TICK_S)

    async def _tick(self, *, renew: bool) -> None:
        try:
            is_another = await self._shared.probe()
        except StoreDown as error:
            self._breaker.trip()
            self._note_failure(error)
            if self._seeding is not None:
                # Every license would wait in vain.
                self._seeding.cancel()
            return
        try:
            if is_another:
                self._unseeded = True
            if renew or is_another:
                self._unseeded |= await self._shared.tend()
            is_seeded = await self._is_seeded()
            await self._shared.pull()
        except StoreDown as error:
            self._note_failure(error)
        else:
            # Not earlier: a server that was down may have come back empty.
            if is_seeded:
                # What this process admitted alone while it seeded is seeded at the next tick.
                self._unseeded |= self._breaker.open
                self._breaker.worked()
                self._log_back()

    async def _is_seeded(self) -> bool:
        """Begin to seed if necessary; tell whether it is done within a short time."""
        if self._unseeded and (self._seeding is None or self._seeding.done()):
            self._unseeded = False
            self._seeding = asyncio.create_task(self._seed_all())
        if self._seeding is None:
            return True
        await asyncio.wait((self._seeding,), timeout=SEEDING_TURN_S)
        return self._seeding.done()

    async def _seed_all(self) -> None:
        for seeder in self.seeders:
            await seeder()

    def _note_failure(self, error: StoreDown) -> None:
        self._breaker.failed(time.monotonic())
        self._unseeded = True
        self._log_down(str(error))

    def _log_down(self, reason: str) -> None:
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY_S:
            self._logged_at = now
            self._has_logged_down = True
            _log.error(
                "state_server_down", reason=reason, policy=self._policy, nodes=self._shared.nodes
            )

    def _log_back(self) -> None:
        if self._has_logged_down:
            self._has_logged_down = False
            _log.info("state_server_back")
