"""The retry policy: what may be tried again, after which pause, within which budget."""

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.retry import CAP_S, POLICIES, RetryBudget, pause


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def upper(_low: float, high: float) -> float:
    return high


def fault(kind: Kind, rest: float | None = None) -> Fault:
    return Fault(kind, UpstreamError("no"), rest)


def test_every_kind_of_fault_has_a_policy():
    assert set(POLICIES) == set(Kind)


@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.MODEL_UNKNOWN, Kind.REDIRECT])
def test_what_is_wrong_with_the_request_is_never_tried_again(kind):
    assert POLICIES[kind].retries == 0


@pytest.mark.parametrize(
    "kind", [Kind.KEY_INVALID, Kind.KEY_DEAD, Kind.BUSY, Kind.SPENT, Kind.NOT_HERE]
)
def test_a_fault_of_the_key_moves_on_to_another_key_at_once(kind):
    assert POLICIES[kind].other_key
    assert pause(fault(kind, 30.0), 1, upper) == 0


def test_only_what_may_pass_by_itself_is_waited_for():
    waited = {kind for kind in Kind if pause(fault(kind), 1, upper)}
    assert waited == {
        *(Kind.SHARED, Kind.INTERNAL, Kind.OVERLOADED, Kind.NETWORK, Kind.CRAMPED, Kind.GARBAGE),
    }


def test_pauses_double_up_to_the_cap():
    pauses = [pause(fault(Kind.OVERLOADED), attempt, upper) for attempt in (1, 2, 3, 9)]
    assert pauses == [0.25, 0.5, 1.0, CAP_S]


def test_pauses_have_full_jitter():
    seen = []
    pause(fault(Kind.OVERLOADED), 2, lambda low, high: seen.append((low, high)) or 0.0)
    assert seen == [(0.0, 0.5)]


def test_upstream_is_left_alone_as_long_as_it_says():
    assert pause(fault(Kind.OVERLOADED, 30.0), 2, upper) == 30.5


def test_the_budget_without_requests_is_three_retries_a_second():
    budget = RetryBudget(Clock())
    assert [budget.take() for _ in range(31)] == [True] * 30 + [False]


def test_the_budget_grows_by_a_fifth_of_the_requests():
    budget = RetryBudget(Clock())
    for _ in range(100):
        budget.request()
    assert sum(budget.take() for _ in range(100)) == 50


def test_what_is_older_than_ten_seconds_counts_no_more():
    clock = Clock()
    budget = RetryBudget(clock)
    while budget.take():
        pass
    clock.now += 9
    assert not budget.take()
    clock.now += 1
    assert budget.take()


def test_a_long_gap_empties_the_whole_window():
    clock = Clock()
    budget = RetryBudget(clock)
    while budget.take():
        pass
    clock.now += 100_000
    assert sum(budget.take() for _ in range(40)) == 30
