"""Circuit breakers, one per model and one for the host: five failures in a row open one.

Open means that nothing is sent for five seconds, doubling to thirty; then one probe is let through,
and its result decides.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

FAILURES = 5
OPEN_S = (5.0, 30.0)
# The circuit of the upstream as a whole, next to those of its models; no model has this name.
HOST = "*"

log = structlog.get_logger()


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    open_until: float = 0.0
    times_opened: int = 0
    is_probing: bool = False
    counted_at: int = 0


class Breakers:
    """The circuits that have seen a failure, by name. *clock* returns monotonic seconds.

    *failures_counted* is the number of failures so far; the caller notes it before an attempt, for
    `failure`.
    """

    __slots__ = ("_circuits", "_clock", "failures_counted")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}
        self.failures_counted = 0

    @property
    def all_closed(self) -> bool:
        """Tell whether no circuit has seen a failure since its last success."""
        return not self._circuits

    def is_open(self, name: str) -> bool:
        """Tell whether *name* is not asked now, or by one probe only."""
        circuit = self._circuits.get(name)
        return circuit is not None and circuit.failures >= FAILURES

    def wait(self, name: str) -> float:
        """Return 0 if *name* may be tried now, else the seconds until it may.

        A caller that gets 0 from an open circuit is its probe and must report the result.
        """
        circuit = self._circuits.get(name)
        if circuit is None or circuit.failures < FAILURES:
            return 0.0
        wait = circuit.open_until - self._clock()
        if wait > 0:
            return wait
        if circuit.is_probing:
            return OPEN_S[0]
        circuit.is_probing = True
        return 0.0

    def success(self, name: str) -> None:
        """Close the circuit of *name*."""
        circuit = self._circuits.pop(name, None)
        if circuit is not None and circuit.failures >= FAILURES:
            log.info("circuit_closed", model=name)

    def failure(self, name: str, failures_before: int) -> None:
        """Count a failure of *name*; the fifth in a row, or a failed probe, opens its circuit.

        *failures_before* is `failures_counted` as it was when the attempt began. Concurrent
        attempts fail together, before the good ones among them end: they count as one failure.
        """
        circuit = self._circuits.setdefault(name, _Circuit())
        if failures_before < circuit.counted_at:
            return
        self.failures_counted = circuit.counted_at = self.failures_counted + 1
        circuit.failures += 1
        circuit.is_probing = False
        if circuit.failures >= FAILURES:
            first, longest = OPEN_S
            seconds = min(first * 2.0**circuit.times_opened, longest)
            circuit.open_until = self._clock() + seconds
            circuit.times_opened += 1
            log.warning("circuit_open", model=name, seconds=seconds)

    def undecided(self, name: str) -> None:
        """Release the probe of *name*: the attempt ended without a verdict on it."""
        if (circuit := self._circuits.get(name)) is not None:
            circuit.is_probing = False
