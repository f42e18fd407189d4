"""The circuit breaker, step by step on a clock of its own."""

import structlog

from gateway.upstream.breaker import Breakers


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breakers:
    breakers = Breakers(clock)
    for _ in range(5):
        breakers.failure("m", breakers.failures_counted)
    return breakers


def test_four_failures_leave_it_closed_and_the_fifth_opens_it():
    breakers = Breakers(Clock())
    for _ in range(4):
        breakers.failure("m", breakers.failures_counted)
        # Not for one probe only.
        assert (breakers.wait("m"), breakers.wait("m")) == (0, 0)
    breakers.failure("m", breakers.failures_counted)
    assert breakers.wait("m") == 5
    assert breakers.wait("another") == 0


def test_failures_side_by_side_count_as_one():
    """Two per cent of faults among fifty requests at once must not close an upstream for all."""
    breakers = Breakers(Clock())
    for _ in range(4):
        failures_before = breakers.failures_counted
        for _ in range(50):
            breakers.failure("m", failures_before)
    assert breakers.wait("m") == 0
    failures_before = breakers.failures_counted
    for _ in range(50):
        breakers.failure("m", failures_before)
    assert breakers.wait("m") == 5, "nor does each of them make the rest longer"


def test_a_failure_elsewhere_hides_none():
    breakers = Breakers(Clock())
    for _ in range(5):
        failures_before = breakers.failures_counted
        breakers.failure("other", failures_before)
        breakers.failure("m", failures_before)
    assert breakers.wait("m") == breakers.wait("other") == 5


def test_a_success_in_between_starts_the_count_anew():
    breakers = Breakers(Clock())
    for _ in range(4):
        breakers.failure("m", breakers.failures_counted)
    breakers.success("m")
    breakers.failure("m", breakers.failures_counted)
    assert breakers.wait("m") == 0


def test_after_the_rest_exactly_one_probe_goes_through():
    clock = Clock()
    breakers = broken(clock)
    clock.now = 5
    assert breakers.wait("m") == 0
    assert breakers.wait("m") > 0


def test_a_good_probe_closes_it():
    clock = Clock()
    breakers = broken(clock)
    clock.now = 5
    breakers.wait("m")
    breakers.success("m")
    assert [breakers.wait("m") for _ in range(3)] == [0, 0, 0]


def test_a_failed_probe_opens_it_for_twice_as_long_up_to_thirty_seconds():
    clock = Clock()
    breakers = broken(clock)
    rests = []
    for _ in range(4):
        clock.now += breakers.wait("m")
        assert breakers.wait("m") == 0
        breakers.failure("m", breakers.failures_counted)
        rests.append(breakers.wait("m"))
    assert rests == [10, 20, 30, 30]


def test_a_probe_that_says_nothing_lets_the_next_one_probe():
    clock = Clock()
    breakers = broken(clock)
    clock.now = 5
    breakers.wait("m")
    breakers.undecided("m")
    assert breakers.wait("m") == 0


def test_the_log_tells_when_it_opens_and_when_it_closes():
    clock = Clock()
    with structlog.testing.capture_logs() as lines:
        breakers = broken(clock)
        clock.now = 5
        breakers.wait("m")
        breakers.success("m")
        breakers.failure("m", breakers.failures_counted)
        breakers.success("m")
    assert lines == [
        {"event": "circuit_open", "log_level": "warning", "model": "m", "seconds": 5.0},
        {"event": "circuit_closed", "log_level": "info", "model": "m"},
    ]
