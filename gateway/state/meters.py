"""How the store in memory counts one rule: its meter, and the arithmetic of its kind.

`counters.lua` has the same arithmetic, in the same order.
"""

from dataclasses import dataclass
from typing import Final

from gateway.state.calendar import DAY, MONTH, Windows
from gateway.state.rules import MINUTE_US, SLOT_WAIT_US, Rule

_STARTS: Final = {"day": DAY, "month": MONTH}


@dataclass(slots=True)
class Moment:
    """The time of a count: *us* of a monotonic clock, *unix* and its windows.

    *counted* are the windows it was counted in: later ones if a clock stepped back.
    """

    us: float
    unix: float
    windows: Windows
    counted: Windows | None = None


class Meter:
    """How much is used: of a rate as of the last flow at *since*, else since the window's start."""

    __slots__ = ("since", "used")

    def __init__(self) -> None:
        self.used = 0.0
        self.since = 0.0


def read(meter: Meter, rule: Rule, now: Moment) -> float:
    """Return how much of *rule* is used now."""
    kind, used = rule.kind, meter.used
    if kind == "rate":
        us = now.us
        if us < meter.since:
            # While a clock is behind, nothing flows; the flow continues from there.
            meter.since = us
        remaining = used - (us - meter.since) * rule.limit / MINUTE_US
        return remaining if remaining > 0.0 else 0.0
    if kind == "slots":
        return used
    # Going back in time keeps the count: a clock fault must not give a fresh quota.
    return 0.0 if now.windows[_STARTS[kind]] > meter.since else used


def write(meter: Meter, rule: Rule, used: float, now: Moment) -> None:
    """Set how much of *rule* is used now."""
    kind, meter.used = rule.kind, used
    if kind == "rate":
        meter.since = now.us
    elif kind != "slots":
        start = _STARTS[kind]
        # A clock that stepped back over midnight and returns must find the day as it left it.
        if meter.since != now.windows[start + 1]:
            meter.since = now.windows[start]
        else:
            now.counted = (now.counted or now.windows).following(start)


def holds(meter: Meter, rule: Rule, windows: Windows) -> bool:
    """Tell whether what was taken of *rule* in *windows* is still counted."""
    start = _STARTS.get(rule.kind)
    return start is None or meter.since == windows[start]


def wait_us(rule: Rule, used: float, now: Moment) -> float:
    """Return how long it takes until one unit of *rule* is free; a guess for slots."""
    if rule.kind == "rate":
        return (used + 1 - rule.limit) * MINUTE_US / rule.limit
    if rule.kind == "slots":
        return SLOT_WAIT_US
    return now.windows[_STARTS[rule.kind] + 1] * 1e6 - now.unix * 1e6
