"""Cool-downs of places: the longer one counts, and what is over is dropped."""

from datetime import datetime

import pytest

from gateway.upstream.cool_downs import MAX_COOL_DOWNS, PACIFIC, CoolDowns, seconds_to_midnight

PLACE = ("project", "model")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_of_two_cool_downs_the_longer_one_counts():
    cool_downs = CoolDowns(Clock())
    cool_downs.begin(PLACE, 60)
    cool_downs.begin(PLACE, 5)
    assert cool_downs.left("project") == {"model": 60}


def test_what_another_process_knows_counts_in_place_of_what_was_known():
    cool_downs = CoolDowns(Clock())
    cool_downs.begin(PLACE, 60)
    cool_downs.set(PLACE, 5, spent=True)
    assert (cool_downs.left("project"), cool_downs.spent) == ({"model": 5}, {PLACE})
    cool_downs.set(PLACE, 5, spent=False)
    assert cool_downs.spent == set()


def test_only_what_still_rests_in_the_scope_is_left():
    cool_downs = CoolDowns(clock := Clock())
    cool_downs.begin(PLACE, 5)
    cool_downs.begin(("other", "model"), 60)
    clock.now += 5
    assert (cool_downs.left("project"), cool_downs.left("other")) == ({}, {"model": 55})


def test_shared_capacity_doubles_until_a_success():
    cool_downs = CoolDowns(Clock())
    assert [cool_downs.shared_s(PLACE) for _ in range(5)] == [5, 10, 20, 40, 60]
    cool_downs.succeed(PLACE)
    assert cool_downs.shared_s(PLACE) == 5


def test_cool_downs_that_are_over_are_dropped_when_there_are_many():
    cool_downs = CoolDowns(clock := Clock())
    cool_downs.spent.add(PLACE)
    cool_downs.begin(PLACE, 5)
    clock.now += 6
    for number in range(MAX_COOL_DOWNS):
        cool_downs.begin(("project", f"m{number}"), 60)
    assert (len(cool_downs.until), cool_downs.spent) == (MAX_COOL_DOWNS, set())


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 8), 23), ((2026, 11, 1), 25)])
def test_days_on_which_clocks_change_are_shorter_and_longer(day, hours):
    assert seconds_to_midnight(datetime(*day, tzinfo=PACIFIC)) == hours * 3600
