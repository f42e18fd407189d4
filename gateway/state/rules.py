"""A license's limits as rules, which every implementation of the store counts alike.

A *rate* is a leaky bucket (GCRA): up to *limit* units at once, which drain evenly over a minute. A
*day* or *month* counts up to *limit* and resets with the calendar of the license. *slots* are held
and given back.

All rules of a license are checked before any is counted. A rule admits while at least one unit is
left, and counts what the request is expected to use, at most the whole limit; the actual use is
booked when it ends. So a large request never starves, and is paid for by a longer wait.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from gateway.exchange import NANOS_PER_USD, License, Limits
from gateway.state.calendar import Calendar

Kind = Literal["rate", "day", "month", "slots"]

REQUESTS, TOKENS, USD, SLOTS = range(4)

MINUTE_US: Final = 60_000_000
# Nobody can know when a slot becomes free; a short reply takes a second.
SLOT_WAIT_US: Final = 1_000_000
# Rates drain in fractions: a unit may lack this much to be a whole one.
SLACK: Final = 1e-6

_KINDS: tuple[tuple[str, int, Kind], ...] = (
    ("requests_per_minute", REQUESTS, "rate"),
    ("tokens_per_minute", TOKENS, "rate"),
    ("requests_per_day", REQUESTS, "day"),
    ("tokens_per_day", TOKENS, "day"),
    ("tokens_per_month", TOKENS, "month"),
    ("usd_per_day", USD, "day"),
    ("usd_per_month", USD, "month"),
    ("concurrent_requests", SLOTS, "slots"),
)

# The index of each limit in counters shared by processes; slots are counted elsewhere.
SLOTS_LIMIT: Final = "concurrent_requests"
PLACES: Final = {
    SLOTS_LIMIT: 0,
    "requests_per_minute": 1,
    "tokens_per_minute": 2,
    "requests_per_day": 3,
    "tokens_per_day": 4,
    "tokens_per_month": 5,
    "usd_per_day": 6,
    "usd_per_month": 7,
}

# The demand of a request by unit. A plain tuple is made in a thirtieth of the time.
Amounts = tuple[int, int, int, int]


class Demand(NamedTuple):
    """The demand of a request by name; 0 leaves the rules of that unit alone.

    *usd* is in billionths, so that sums stay integers.
    """

    requests: int = 1
    tokens: int = 0
    usd: int = 0
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit: *name* as in `Limits`, *unit* as index of `Demand`."""

    name: str
    unit: int
    kind: Kind
    limit: int


class Plan:
    """The rules of one license and its calendar."""

    __slots__ = ("_share", "calendar", "has_slots", "license_id", "rules")

    def __init__(self, license_id: str, rules: tuple[Rule, ...], calendar: Calendar) -> None:
        self.license_id = license_id
        self.rules = rules
        self.calendar = calendar
        self.has_slots = any(rule.kind == "slots" for rule in rules)
        self._share: tuple[int, Plan] = (1, self)

    @classmethod
    def of(cls, license_: License) -> "Plan":
        """Make the plan of *license_*."""
        return cls(license_.id, _rules(license_.limits), Calendar(license_.timezone))

    def share(self, nodes: int) -> "Plan":
        """Return the plan for one of *nodes* nodes that count separately; limits are at least 1."""
        if self._share[0] != nodes:
            rules = tuple(replace(rule, limit=max(1, rule.limit // nodes)) for rule in self.rules)
            self._share = nodes, Plan(self.license_id, rules, self.calendar)
        return self._share[1]

    def without_rules(self) -> "Plan":
        """Return a plan that admits everything."""
        return Plan(self.license_id, (), self.calendar)


def _rules(limits: Limits) -> tuple[Rule, ...]:
    rules = []
    for name, unit, kind in _KINDS:
        limit = getattr(limits, name)
        if limit is not None:
            scale = NANOS_PER_USD if unit == USD else 1
            rules.append(Rule(name, unit, kind, max(1, round(limit * scale))))
    return tuple(rules)


def changes(plan: Plan, demand: Amounts, final: Amounts) -> Iterator[tuple[Rule, int]]:
    """Yield what settling adds to each rule that *demand* was taken from: *final* less *demand*."""
    for rule in plan.rules:
        unit, limit = rule.unit, rule.limit
        reserved = demand[unit]
        if reserved > limit:
            reserved = limit
        if reserved and final[unit] != reserved:
            yield rule, final[unit] - reserved


def revised(plan: Plan, demand: Amounts, instead: Amounts) -> Iterator[tuple[Rule, int]]:
    """Yield what reserving *instead* of *demand* adds to each rule that *demand* was taken from."""
    for rule in plan.rules:
        reserved = min(demand[rule.unit], rule.limit)
        more = min(instead[rule.unit], rule.limit) - reserved
        if reserved and more:
            yield rule, more
