"""How one rule is counted in memory."""

import pytest

from gateway.state.calendar import Windows
from gateway.state.meters import Meter, Moment, holds, read, wait_us, write
from gateway.state.rules import REQUESTS, SLOTS, Rule

DAY = Windows(86_400, 172_800, 0, 2_678_400)
NEXT_DAY = Windows(172_800, 259_200, 0, 2_678_400)


def moment(us, windows=DAY):
    return Moment(us, 100_000.0, windows)


def rule(unit, kind, limit):
    return Rule("x", unit, kind, limit)


def test_a_rate_flows_off_evenly_down_to_nothing():
    limit, meter = rule(REQUESTS, "rate", 60), Meter()
    write(meter, limit, 3.0, moment(0))
    left = [read(meter, limit, moment(seconds * 1e6)) for seconds in (0, 1, 2.5, 60)]
    assert left == [3.0, 2.0, 0.5, 0.0]


def test_a_full_rate_has_room_when_one_unit_has_flowed_off():
    assert wait_us(rule(REQUESTS, "rate", 60), 60.0, moment(0)) == 1e6


@pytest.mark.parametrize(("kind", "left_s"), [("day", 72_800), ("month", 2_578_400)])
def test_a_window_has_room_when_it_is_over(kind, left_s):
    assert wait_us(rule(REQUESTS, kind, 5), 5.0, moment(0)) == left_s * 1e6


def test_a_window_forgets_what_an_earlier_one_counted():
    limit, meter = rule(REQUESTS, "day", 5), Meter()
    write(meter, limit, 4.0, moment(0))
    assert read(meter, limit, moment(0, NEXT_DAY)) == 0.0
    assert holds(meter, limit, DAY)
    assert not holds(meter, limit, NEXT_DAY)


def test_slots_know_no_time():
    limit, meter = rule(SLOTS, "slots", 5), Meter()
    write(meter, limit, 2.0, moment(0))
    assert read(meter, limit, moment(1e12, NEXT_DAY)) == 2.0
    assert holds(meter, limit, NEXT_DAY)
