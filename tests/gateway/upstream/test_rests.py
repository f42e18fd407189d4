"""Rests of places: the longer one counts, and what is over is dropped."""

from datetime import datetime

import pytest

from gateway.upstream.rests import MAX_RESTS, PACIFIC, Rests, seconds_to_midnight

PLACE = ("project", "model")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_of_two_rests_the_longer_one_counts():
    rests = Rests(Clock())
    rests.begin(PLACE, 60)
    rests.begin(PLACE, 5)
    assert rests.left("project") == {"model": 60}


def test_what_another_process_knows_counts_in_place_of_what_was_known():
    rests = Rests(Clock())
    rests.begin(PLACE, 60)
    rests.set(PLACE, 5, spent=True)
    assert (rests.left("project"), rests.spent) == ({"model": 5}, {PLACE})
    rests.set(PLACE, 5, spent=False)
    assert rests.spent == set()


def test_only_what_still_rests_in_the_scope_is_left():
    rests = Rests(clock := Clock())
    rests.begin(PLACE, 5)
    rests.begin(("other", "model"), 60)
    clock.now += 5
    assert (rests.left("project"), rests.left("other")) == ({}, {"model": 55})


def test_shared_capacity_doubles_until_a_success():
    rests = Rests(Clock())
    assert [rests.shared_s(PLACE) for _ in range(5)] == [5, 10, 20, 40, 60]
    rests.succeed(PLACE)
    assert rests.shared_s(PLACE) == 5


def test_rests_that_are_over_are_dropped_when_there_are_many():
    rests = Rests(clock := Clock())
    rests.spent.add(PLACE)
    rests.begin(PLACE, 5)
    clock.now += 6
    for number in range(MAX_RESTS):
        rests.begin(("project", f"m{number}"), 60)
    assert (len(rests.until), rests.spent) == (MAX_RESTS, set())


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 8), 23), ((2026, 11, 1), 25)])
def test_days_on_which_clocks_change_are_shorter_and_longer(day, hours):
    assert seconds_to_midnight(datetime(*day, tzinfo=PACIFIC)) == hours * 3600
