"""The store of a single process: everything in memory, nothing to wait for."""

import time
from collections.abc import Callable

from gateway.state.calendar import Windows
from gateway.state.rules import MINUTE_US, SLACK, SLOT_WAIT_US, SLOTS, Demand, Plan, Rule
from gateway.state.store import Grant, Spent


class Meter:
    """How much of one rule is used, and since when: last flow of a rate, start of a window."""

    __slots__ = ("since", "used")

    def __init__(self) -> None:
        self.used = 0.0
        self.since = 0.0


class MemoryStore:
    """Counts for one process. *clock* never steps; *wall* tells the days of quotas."""

    __slots__ = ("_clock", "_meters", "_wall")

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._meters: dict[str, dict[str, Meter]] = {}

    async def take(self, plan: Plan, demand: Demand) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them."""
        now_us = self._clock() * 1e6
        wall = self._wall()
        windows = plan.calendar.at(wall)
        meters = [self._meter(plan, rule, now_us, windows) for rule in plan.rules]
        refused, wait_us = None, 0.0
        for rule, meter in zip(plan.rules, meters, strict=True):
            if demand[rule.unit] and meter.used + 1 > rule.limit + SLACK:
                wait = _wait_us(rule, meter.used, wall, windows)
                if wait > wait_us:
                    refused, wait_us = rule, wait
        if refused is None:
            for rule, meter in zip(plan.rules, meters, strict=True):
                meter.used += min(demand[rule.unit], rule.limit)
        used = tuple([meter.used for meter in meters])
        return Grant(plan, demand, windows, wall, used, refused, wait_us)

    def settle(self, grant: Grant, spent: Spent) -> None:
        """Book what the request really used and give back its slot."""
        now_us = self._clock() * 1e6
        plan, demand, windows = grant.plan, grant.demand, grant.windows
        final = Demand(demand.requests, spent.tokens, spent.usd, 0)
        for rule in plan.rules:
            more = final[rule.unit] - min(demand[rule.unit], rule.limit)
            if not more or not demand[rule.unit]:
                continue
            meter = self._meters[plan.license_id].get(rule.name)
            if meter is None:
                continue
            if rule.kind == "rate":
                _flow(rule, meter, now_us)
            elif rule.kind != "slots" and meter.since != _start(rule, windows):
                continue
            meter.used = max(0.0, meter.used + more)

    def _meter(self, plan: Plan, rule: Rule, now_us: float, windows: Windows) -> Meter:
        meters = self._meters.setdefault(plan.license_id, {})
        meter = meters.get(rule.name)
        if meter is None:
            meter = meters[rule.name] = Meter()
        if rule.kind == "rate":
            _flow(rule, meter, now_us)
        elif rule.kind != "slots":
            _turn(meter, _start(rule, windows))
        return meter


def _flow(rule: Rule, meter: Meter, now_us: float) -> None:
    # A clock that stepped back lets nothing flow, and never blocks anybody.
    elapsed = max(0.0, now_us - meter.since)
    meter.used = max(0.0, meter.used - elapsed * rule.limit / MINUTE_US)
    meter.since = now_us


def _turn(meter: Meter, start: int) -> None:
    # Going back in time keeps the count: a clock fault must give no fresh quota.
    if start > meter.since:
        meter.used = 0.0
    meter.since = start


def _start(rule: Rule, windows: Windows) -> int:
    return windows.day_start if rule.kind == "day" else windows.month_start


def _wait_us(rule: Rule, used: float, now: float, windows: Windows) -> float:
    if rule.unit == SLOTS:
        return SLOT_WAIT_US
    if rule.kind == "rate":
        return (used + 1 - rule.limit) * MINUTE_US / rule.limit
    end = windows.day_end if rule.kind == "day" else windows.month_end
    return (end - now) * 1e6
