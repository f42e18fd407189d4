"""Whether a failed attempt is retried, when, and with which credential. No I/O, no clock.

At most `max_attempts` attempts within one deadline, full jitter between those that wait, and a
budget over all requests: retries may be a fifth of the requests of the last ten seconds plus three
per second. A spent budget keeps the gateway from making an outage worse; upstream's error is passed
on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.upstream.faults import Fault, Kind


@dataclass(frozen=True, slots=True)
class Policy:
    """What follows from one kind of fault.

    *retries* is how many further attempts this kind allows, *wait* whether they wait (full jitter),
    *other_key* whether they must use another credential, *free* whether they cost no retry budget:
    moving on to the next key does not burden a failing service, nor does a request that was never
    sent.
    """

    retries: int
    wait: bool = False
    other_key: bool = False
    free: bool = False


NEVER = Policy(retries=0)
NEXT_KEY = Policy(retries=10, other_key=True, free=True)

POLICIES = {
    Kind.REQUEST: NEVER,
    Kind.NOT_HERE: NEXT_KEY,
    Kind.MODEL_UNKNOWN: NEVER,
    Kind.KEY_INVALID: NEXT_KEY,
    Kind.KEY_DEAD: NEXT_KEY,
    Kind.REGION: Policy(retries=1, other_key=True, free=True),
    Kind.BUSY: NEXT_KEY,
    Kind.SPENT: NEXT_KEY,
    Kind.NOT_IN_PLAN: NEXT_KEY,
    Kind.SHARED: Policy(retries=2, wait=True, other_key=True),
    Kind.INTERNAL: Policy(retries=1, wait=True),
    Kind.OVERLOADED: Policy(retries=2, wait=True),
    Kind.DEADLINE: Policy(retries=1),
    Kind.NETWORK: Policy(retries=2, wait=True),
    Kind.CRAMPED: Policy(retries=2, wait=True, free=True),
    Kind.STUCK: Policy(retries=1),
    Kind.GARBAGE: Policy(retries=1, wait=True),
    Kind.REDIRECT: NEVER,
    Kind.WEAK: Policy(retries=1),
}

BASE_S = 0.25
CAP_S = 4.0
RETRIES_PER_S = 3.0


def pause(fault: Fault, attempt: int, uniform: Callable[[float, float], float]) -> float:
    """Return the seconds to wait after attempt number *attempt* (1 is the first).

    At least as long as upstream asks for; the jitter spreads the clients then, too.
    """
    if not POLICIES[fault.kind].wait:
        return 0.0
    return (fault.retry_after_s or 0.0) + uniform(0.0, min(CAP_S, BASE_S * 2.0 ** (attempt - 1)))


class RetryBudget:
    """How many retries all requests together may make: a share of recent requests, and a floor.

    *clock* returns monotonic seconds. The window is ten slots of one second each.
    """

    __slots__ = ("_clock", "_floor", "_requests", "_retries", "_second", "_share")

    SLOTS = 10

    def __init__(
        self, clock: Callable[[], float], *, share: float = 0.2, floor_per_s: float = RETRIES_PER_S
    ) -> None:
        self._clock = clock
        self._share = share
        self._floor = floor_per_s * self.SLOTS
        self._requests = [0] * self.SLOTS
        self._retries = [0] * self.SLOTS
        self._second = int(clock())

    def request(self) -> None:
        """Count one request."""
        self._requests[self._slot()] += 1

    def take(self) -> bool:
        """Take one retry if the budget has any left."""
        slot = self._slot()
        if sum(self._retries) >= self._share * sum(self._requests) + self._floor:
            return False
        self._retries[slot] += 1
        return True

    def _slot(self) -> int:
        """Return the slot of the current second, clearing those that have left the window."""
        now = int(self._clock())
        if now == self._second:
            return now % self.SLOTS
        for second in range(self._second + 1, min(now, self._second + self.SLOTS) + 1):
            self._requests[second % self.SLOTS] = self._retries[second % self.SLOTS] = 0
        # A gap longer than the window clears all slots, whichever they are.
        self._second = max(self._second, now)
        return now % self.SLOTS
