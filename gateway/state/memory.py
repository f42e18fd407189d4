"""The store of a single process: everything in memory, nothing to wait for."""

import time
from collections import defaultdict
from collections.abc import Callable

from gateway.settings import Settings
from gateway.state.calendar import Windows
from gateway.state.rules import (
    MINUTE_US,
    SLACK,
    SLOT_WAIT_US,
    WINDOWED,
    Demand,
    Plan,
    Rule,
    changes,
)
from gateway.state.store import Grant, News, Publish, Spent
from gateway.state.values import LocalValues


class Meter:
    """How much of one rule is used, and since when: last flow of a rate, start of a window."""

    __slots__ = ("since", "used")

    def __init__(self) -> None:
        self.used = 0.0
        self.since = 0.0


class MemoryStore:
    """Counts for one process. *clock* never steps; *wall* tells the days of quotas."""

    degraded = False

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._meters: defaultdict[str, defaultdict[str, Meter]] = defaultdict(
            lambda: defaultdict(Meter)
        )
        self._values = LocalValues(clock)

    async def check(self) -> str | None:
        """Give None: memory can always serve."""
        return None

    async def reload(self, settings: Settings) -> None:
        """Do nothing: licenses bring their limits along."""

    async def open(self) -> None:
        """Do nothing: memory is there."""

    async def close(self) -> None:
        """Do nothing: memory goes with the process."""

    async def take(self, plan: Plan, demand: Demand) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them."""
        now_us = self._clock() * 1e6
        wall = self._wall()
        windows = plan.calendar.at(wall)
        counted = self._meters[plan.license_id]
        meters = [counted[rule.name] for rule in plan.rules]
        used = []
        refused, longest = None, 0.0
        for rule, meter in zip(plan.rules, meters, strict=True):
            now_used = _used(rule, meter, now_us, windows)
            used.append(now_used)
            if demand[rule.unit] and now_used + 1 > rule.limit + SLACK:
                wait = _wait_us(rule, now_used, wall, windows)
                if wait > longest:
                    refused, longest = rule, wait
        if refused is None:
            for index, (rule, meter) in enumerate(zip(plan.rules, meters, strict=True)):
                used[index] += min(demand[rule.unit], rule.limit)
                meter.used = used[index]
                meter.since = _mark(rule, now_us, windows)
        return Grant(plan, demand, windows, wall, tuple(used), refused, longest)

    def settle(self, grant: Grant, spent: Spent) -> None:
        """Book what the request really used and give back its slot."""
        now_us = self._clock() * 1e6
        windows = grant.windows
        meters = self._meters[grant.plan.license_id]
        final = Demand(grant.demand.requests, spent.tokens, spent.usd, 0)
        for rule, more in changes(grant.plan, grant.demand, final):
            meter = meters[rule.name]
            # What was taken from a window that is over has gone with it.
            if rule.kind in WINDOWED and meter.since != _start(rule, windows):
                continue
            meter.used = max(0.0, _used(rule, meter, now_us, windows) + more)
            meter.since = _mark(rule, now_us, windows)

    async def get(self, keys: list[str]) -> list[bytes | None]:
        """Give the values of *keys* that have not run out."""
        return [self._values.get(key) for key in keys]

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep *value* for *ttl_s* seconds."""
        self._values.put(key, value, ttl_s)

    def table(self, _name: str, _news: News, /) -> Publish:
        """Give what publishes to nobody: there is no other process."""
        return _to_nobody


def _to_nobody(key: str, value: bytes, ttl_s: float) -> None:
    pass


def _used(rule: Rule, meter: Meter, now_us: float, windows: Windows) -> float:
    if rule.kind == "rate":
        # A clock that stepped back lets nothing flow, and the flow goes on from there.
        meter.since = min(meter.since, now_us)
        return max(0.0, meter.used - (now_us - meter.since) * rule.limit / MINUTE_US)
    # Going back in time keeps the count: a clock fault must give no fresh quota.
    if rule.kind in WINDOWED and _start(rule, windows) > meter.since:
        return 0.0
    return meter.used


def _mark(rule: Rule, now_us: float, windows: Windows) -> float:
    return now_us if rule.kind == "rate" else _start(rule, windows)


def _start(rule: Rule, windows: Windows) -> int:
    return windows.day_start if rule.kind == "day" else windows.month_start


def _wait_us(rule: Rule, used: float, now: float, windows: Windows) -> float:
    if rule.kind == "slots":
        return SLOT_WAIT_US
    if rule.kind == "rate":
        return (used + 1 - rule.limit) * MINUTE_US / rule.limit
    end = windows.day_end if rule.kind == "day" else windows.month_end
    return end * 1e6 - now * 1e6
