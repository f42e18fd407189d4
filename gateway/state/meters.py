"""How the store in memory counts one rule: its meter, and what is done with it by the rule's kind.

The same arithmetic, in the same order, stands in `counters.lua`.
"""

from dataclasses import dataclass
from typing import Final

from gateway.state.calendar import DAY, MONTH, Windows
from gateway.state.rules import MINUTE_US, SLOT_WAIT_US, Rule

_STARTS: Final = {"day": DAY, "month": MONTH}


@dataclass(slots=True)
class Moment:
    """When something is counted: *us* of the clock that never steps, *unix* and the windows.

    *counted* are the windows that it was counted in where a clock stepped back: later ones.
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
            # A clock that stepped back lets nothing flow, and the flow goes on from there.
            meter.since = us
        remaining = used - (us - meter.since) * rule.limit / MINUTE_US
        return remaining if remaining > 0.0 else 0.0
    if kind == "slots":
        return used
    # Going back in time keeps the count: a clock fault must give no fresh quota.
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
