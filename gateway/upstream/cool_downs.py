"""How long the models of a project cool down: Google counts quotas by project and model."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")
# Capacity shared by all customers returns within seconds, if not at once.
SHARED_COOL_DOWN_S = (5.0, 60.0)
MAX_COOL_DOWNS = 1000

# Where a quota is counted: the scope of a credential, and a model.
Place = tuple[str, str]


class CoolDowns:
    """The state of each place; *clock* returns monotonic seconds.

    *until* is when the cool-down of a place ends; *spent* holds the places that wait for a quota.
    """

    __slots__ = ("_clock", "_shared_in_a_row", "spent", "until")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.until: dict[Place, float] = {}
        self.spent: set[Place] = set()
        # How many times in a row shared capacity was busy.
        self._shared_in_a_row: dict[Place, int] = {}

    def begin(self, place: Place, seconds: float) -> None:
        """Let *place* cool down for *seconds*, or longer if it does so already."""
        self.until[place] = max(self._clock() + seconds, self.until.get(place, 0.0))
        if len(self.until) > MAX_COOL_DOWNS:
            self._drop_old()

    def set(self, place: Place, seconds: float, *, spent: bool) -> None:
        """Replace what is known of *place* by what another process learned."""
        self.until[place] = self._clock() + seconds
        (self.spent.add if spent else self.spent.discard)(place)

    def shared_s(self, place: Place) -> float:
        """Return how long *place* cools down for shared capacity, doubled each time in a row."""
        count = self._shared_in_a_row.get(place, 0)
        self._shared_in_a_row[place] = count + 1
        first, longest = SHARED_COOL_DOWN_S
        return min(first * 2.0**count, longest)

    def succeed(self, place: Place) -> None:
        """Note that *place* has capacity again."""
        if self._shared_in_a_row:
            self._shared_in_a_row.pop(place, None)

    def left(self, scope: str) -> dict[str, float]:
        """Return the remaining seconds of each model that cools down in *scope*."""
        now = self._clock()
        return {
            model: round(until - now, 1)
            for (owner, model), until in self.until.items()
            if owner == scope and until > now
        }

    def _drop_old(self) -> None:
        """Drop the cool-downs that are over, so that made-up model names cannot fill the memory."""
        now = self._clock()
        self.until = {place: until for place, until in self.until.items() if until > now}
        self.spent &= self.until.keys()


def seconds_to_midnight(now: datetime) -> float:
    """Return the seconds until the next midnight in Google's time zone."""
    local = now.astimezone(PACIFIC)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # Subtracting within one zone ignores a change of its offset; timestamps do not.
    return midnight.timestamp() - local.timestamp()
