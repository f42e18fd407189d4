"""How the store in memory counts one rule: a meter for each kind, all with the same methods.

The same arithmetic, in the same order, stands in `counters.lua`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.state.calendar import Windows
from gateway.state.rules import MINUTE_US, SLOT_WAIT_US, Kind, Rule


@dataclass(slots=True)
class Moment:
    """When something is counted: *us* of the clock that never steps, *unix* and the windows."""

    us: float
    unix: float
    windows: Windows


class RateMeter:
    """How much of a rate is used, as of the last flow at *since*."""

    __slots__ = ("since", "used")

    def __init__(self) -> None:
        self.used = 0.0
        self.since = 0.0

    def read(self, rule: Rule, now: Moment) -> float:
        """Give how much of *rule* is used now."""
        us = now.us
        if us < self.since:
            # A clock that stepped back lets nothing flow, and the flow goes on from there.
            self.since = us
        left = self.used - (us - self.since) * rule.limit / MINUTE_US
        return left if left > 0.0 else 0.0

    def write(self, used: float, now: Moment) -> None:
        """Set how much is used now."""
        self.used = used
        self.since = now.us

    def holds(self, _windows: Windows) -> bool:
        """Tell whether what was taken then is still counted."""
        return True

    def wait_us(self, rule: Rule, used: float, _now: Moment) -> float:
        """Give how long it takes until one unit is free."""
        return (used + 1 - rule.limit) * MINUTE_US / rule.limit


class WindowMeter:
    """How much is used in the window that began at *since*; *start* and *end* index `Windows`."""

    __slots__ = ("_end", "_start", "since", "used")

    def __init__(self, start: int, end: int) -> None:
        self.used = 0.0
        self.since: float = 0
        self._start = start
        self._end = end

    def read(self, _rule: Rule, now: Moment) -> float:
        """Give how much is used in the window of *now*."""
        # Going back in time keeps the count: a clock fault must give no fresh quota.
        return 0.0 if now.windows[self._start] > self.since else self.used

    def write(self, used: float, now: Moment) -> None:
        """Set how much is used in the window of *now*."""
        self.used = used
        # A clock that stepped back over midnight and returns must find the day as it left it.
        if self.since != now.windows[self._end]:
            self.since = now.windows[self._start]

    def holds(self, windows: Windows) -> bool:
        """Tell whether what was taken in *windows* is still counted."""
        return self.since == windows[self._start]

    def wait_us(self, _rule: Rule, _used: float, now: Moment) -> float:
        """Give how long the window lasts."""
        return now.windows[self._end] * 1e6 - now.unix * 1e6


class SlotMeter:
    """How many slots are held."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0.0

    def read(self, _rule: Rule, _now: Moment) -> float:
        """Give how many slots are held."""
        return self.used

    def write(self, used: float, _now: Moment) -> None:
        """Set how many slots are held."""
        self.used = used

    def holds(self, _windows: Windows) -> bool:
        """Tell whether what was taken then is still counted."""
        return True

    def wait_us(self, _rule: Rule, _used: float, _now: Moment) -> float:
        """Give a guess."""
        return SLOT_WAIT_US


Meter = RateMeter | WindowMeter | SlotMeter

METERS: Final[dict[Kind, Callable[[], Meter]]] = {
    "rate": RateMeter,
    "day": lambda: WindowMeter(0, 1),
    "month": lambda: WindowMeter(2, 3),
    "slots": SlotMeter,
}
