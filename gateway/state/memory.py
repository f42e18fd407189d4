"""The store of a single process: everything is in memory, and nothing waits."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.settings import Settings
from gateway.state.meters import Meter, Moment, holds, read, wait_us, write
from gateway.state.rules import REQUESTS, SLACK, Amounts, Plan, Rule, changes, revised
from gateway.state.store import ActualUse, Grant, News, Publish, Seeder


class MemoryStore:
    """Counts for one process. *clock* is monotonic; *wall* determines the days of quotas."""

    degraded = False

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._counters: dict[str, _Counters] = {}
        self.seeders: list[Seeder] = []

    async def check(self) -> str | None:
        """Return None: memory can always serve."""
        return None

    async def reload(self, settings: Settings) -> None:
        """Do nothing: licenses carry their limits."""

    async def open(self) -> None:
        """Seed what was spent before this process started."""
        for seeder in self.seeders:
            await seeder()

    async def close(self) -> None:
        """Do nothing: memory goes with the process."""

    async def take(self, plan: Plan, demand: Amounts) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them."""
        return self.take_now(plan, demand)

    def take_now(self, plan: Plan, demand: Amounts) -> Grant:
        """Take without a running loop."""
        unix = self._wall()
        now = Moment(self._clock() * 1e6, unix, plan.calendar.at(unix))
        by_rule = self._counters_of(plan).by_rule
        used, after = [], []
        refused, longest = None, 0.0
        for rule, meter in by_rule:
            limit = rule.limit
            count, amount = read(meter, rule, now), demand[rule.unit]
            if amount > limit:
                amount = limit
            used.append(count)
            after.append(count + amount)
            if amount and count + 1 > limit + SLACK:
                wait = wait_us(rule, count, now)
                if wait > longest:
                    refused, longest = rule, wait
        if refused is None:
            used = after
            for (rule, meter), count in zip(by_rule, used, strict=True):
                write(meter, rule, count, now)
        windows = now.counted or now.windows
        return Grant(plan, demand, windows, unix, tuple(used), refused, longest)

    def revise(self, grant: Grant, demand: Amounts) -> Grant:
        """Reserve *demand* instead of what was reserved."""
        self._add(grant, revised(grant.plan, grant.demand, demand))
        grant.demand = demand
        return grant

    def settle(self, grant: Grant, use: ActualUse) -> None:
        """Book what the request really used and give back its slot."""
        final = grant.demand[REQUESTS], use.tokens, use.usd, 0
        self._add(grant, changes(grant.plan, grant.demand, final))

    def now(self) -> float:
        """Return the time of this machine."""
        return self._wall()

    async def seed(self, plan: Plan, spent: Mapping[str, int]) -> None:
        """Raise the day's and month's use to *spent*."""
        self.seed_now(plan, spent)

    def seed_now(self, plan: Plan, spent: Mapping[str, int]) -> None:
        """Seed without a running loop."""
        unix = self._wall()
        now = Moment(self._clock() * 1e6, unix, plan.calendar.at(unix))
        for rule, meter in self._counters_of(plan).by_rule:
            if rule.kind not in {"day", "month"} or rule.name not in spent:
                continue
            # Requests may have come before the ledger could be read.
            if not holds(meter, rule, now.windows) or read(meter, rule, now) < spent[rule.name]:
                write(meter, rule, spent[rule.name], now)

    def table(self, _name: str, _news: News, /) -> Publish:
        """Return a function that publishes to nobody: there is no other process."""
        return _to_nobody

    def meters(self, plan: Plan) -> Mapping[str, Meter]:
        """Return the meters of the license of *plan* by names of rules, the plan's included."""
        return self._counters_of(plan).meters

    def _add(self, grant: Grant, more: Iterable[tuple[Rule, int]]) -> None:
        now = Moment(self._clock() * 1e6, grant.now, grant.windows)
        meters = self._counters_of(grant.plan).meters
        for rule, amount in more:
            meter = meters[rule.name]
            # What was taken from a past window is gone with it.
            if holds(meter, rule, grant.windows):
                count = read(meter, rule, now) + amount
                write(meter, rule, count if count > 0.0 else 0.0, now)

    def _counters_of(self, plan: Plan) -> "_Counters":
        counters = self._counters.get(plan.license_id)
        if counters is None or counters.plan is not plan:
            meters = counters.meters if counters else {}
            by_rule = [(rule, meters.setdefault(rule.name, Meter())) for rule in plan.rules]
            counters = self._counters[plan.license_id] = _Counters(plan, meters, by_rule)
        return counters


@dataclass(slots=True)
class _Counters:
    """The counts of one license: *meters* of all rules it ever had, *by_rule* of its *plan*."""

    plan: Plan
    meters: dict[str, Meter]
    by_rule: list[tuple[Rule, Meter]]


def _to_nobody(key: str, value: bytes, ttl_s: float) -> None:
    pass
