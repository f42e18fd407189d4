"""When a server is given up."""

import pytest

from gateway.state.breaker import Breaker


def broken(*moments):
    breaker = Breaker()
    for moment in moments:
        breaker.failed(moment)
    return breaker


@pytest.mark.parametrize(
    ("moments", "is_open"),
    [
        ((), False),
        ((0.0, 1.0), False),
        ((0.0, 1.0, 2.0), True),
        # All who waited for one hiccup tell of one failure.
        ((0.0, 0.01, 0.02, 0.03), False),
        ((0.0, 0.05, 0.10), True),
    ],
)
def test_the_third_failure_in_a_row_opens(moments, is_open):
    assert broken(*moments).open is is_open


def test_a_success_in_between_starts_the_count_again():
    breaker = broken(0.0, 1.0)
    breaker.worked()
    breaker.failed(2.0)
    breaker.failed(3.0)
    assert not breaker.open


def test_a_failed_probe_opens_at_once_and_a_success_closes():
    breaker = Breaker()
    breaker.trip()
    assert breaker.open
    breaker.worked()
    assert not breaker.open
