"""Why upstream cannot be reached is told once for each reason, until it is reached again."""

import structlog

from gateway.errors import UpstreamError
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.outage import Outage


def unreachable(reason: str) -> Fault:
    return Fault(Kind.NETWORK, UpstreamError("x"), reason=reason)


def test_each_reason_is_told_once_for_each_outage():
    outage = Outage()
    busy = Fault(Kind.BUSY, UpstreamError("x"))
    with structlog.testing.capture_logs() as lines:
        for fault in (None, unreachable("a"), unreachable("b"), unreachable("a"), busy, None, None):
            outage.note(fault)
        outage.note(unreachable("a"))
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("upstream_unreachable", "a"),
        ("upstream_unreachable", "b"),
        ("upstream_reachable", None),
        ("upstream_unreachable", "a"),
    ]
