"""How one rule is counted in memory."""

import pytest

from gateway.state.calendar import Windows
from gateway.state.meters import METERS, Moment
from gateway.state.rules import REQUESTS, SLOTS, Rule

DAY = Windows(86_400, 172_800, 0, 2_678_400)
NEXT_DAY = Windows(172_800, 259_200, 0, 2_678_400)


def moment(us, windows=DAY):
    return Moment(us, 100_000.0, windows)


def test_a_rate_flows_off_evenly_down_to_nothing():
    rule, meter = Rule("requests_per_minute", REQUESTS, "rate", 60), METERS["rate"]()
    meter.write(3.0, moment(0))
    read = [meter.read(rule, moment(seconds * 1e6)) for seconds in (0, 1, 2.5, 60)]
    assert read == [3.0, 2.0, 0.5, 0.0]


def test_a_full_rate_has_room_when_one_unit_has_flowed_off():
    rule, meter = Rule("requests_per_minute", REQUESTS, "rate", 60), METERS["rate"]()
    assert meter.wait_us(rule, 60.0, moment(0)) == 1e6


@pytest.mark.parametrize(("kind", "left_s"), [("day", 72_800), ("month", 2_578_400)])
def test_a_window_has_room_when_it_is_over(kind, left_s):
    rule, meter = Rule("x", REQUESTS, kind, 5), METERS[kind]()
    assert meter.wait_us(rule, 5.0, moment(0)) == left_s * 1e6


def test_a_window_forgets_what_an_earlier_one_counted():
    rule, meter = Rule("x", REQUESTS, "day", 5), METERS["day"]()
    meter.write(4.0, moment(0))
    assert meter.read(rule, moment(0, NEXT_DAY)) == 0.0
    assert meter.holds(DAY)
    assert not meter.holds(NEXT_DAY)


def test_slots_know_no_time():
    rule, meter = Rule("x", SLOTS, "slots", 5), METERS["slots"]()
    meter.write(2.0, moment(0))
    assert meter.read(rule, moment(1e12, NEXT_DAY)) == 2.0
    assert meter.holds(NEXT_DAY)
