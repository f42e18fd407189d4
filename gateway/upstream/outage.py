"""Tells the log why upstream cannot be reached, and when it can again."""

import structlog

from gateway.upstream.faults import Fault, Kind

log = structlog.get_logger()


class Outage:
    """Logs each reason once until an attempt succeeds; clients are not told the reasons."""

    __slots__ = ("_reasons",)

    def __init__(self) -> None:
        self._reasons: set[str] = set()

    def note(self, fault: Fault | None) -> None:
        """Take the end of one attempt: its *fault*, or None for a success."""
        if fault is None:
            if self._reasons:
                log.info("upstream_reachable")
                self._reasons.clear()
        elif fault.kind is Kind.NETWORK and fault.reason not in self._reasons:
            log.warning("upstream_unreachable", reason=fault.reason)
            self._reasons.add(fault.reason)
