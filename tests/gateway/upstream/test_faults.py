"""Kinds of fault are distinct and faults are plain values."""

from gateway.errors import UpstreamError
from gateway.upstream.faults import Fault, Kind


def test_kinds_are_distinct():
    assert len({kind.value for kind in Kind}) == len(Kind)


def test_equal_faults_compare_equal():
    error = UpstreamError("x")
    assert Fault(Kind.BUSY, error, 1.0) == Fault(Kind.BUSY, error, 1.0)
    assert Fault(Kind.BUSY, error).retry_after_s is None
