"""The bytes that the script reads and answers; what it does with them, the store's tests show."""

import struct

import pytest

from gateway.exchange import License, Limits
from gateway.state.counter_script import (
    SCRIPT,
    TAKE,
    pack_request,
    unpack_reply,
    windows_counted_in,
)
from gateway.state.rules import Plan

NOON = 1_700_000_000.0


def test_a_request_is_a_head_and_one_entry_for_each_rule():
    plan = Plan.of(License("alice", limits=Limits(requests_per_minute=5, tokens_per_day=7)))
    windows = plan.calendar.at(NOON)
    packed = pack_request(TAKE, 0.0, 15.0, windows, [(rule, 1) for rule in plan.rules])
    head, rule = struct.Struct("<Bddd"), struct.Struct("<BBdddd")
    assert len(packed) == head.size + len(plan.rules) * rule.size
    assert head.unpack_from(packed)[:3] == (TAKE, 0.0, 15e6)
    assert rule.unpack_from(packed, head.size) == (1, 0, 5.0, 1.0, 0.0, 0.0)
    assert rule.unpack_from(packed, head.size + rule.size)[2:] == (7.0, 1.0, *windows[:2])
    assert f"RULE_BYTES = '{head.format}', '{rule.format}', {rule.size}" in SCRIPT


def test_what_is_no_answer_is_an_error():
    assert unpack_reply(struct.pack("<2d", 1, 2)) == (1, 2)
    with pytest.raises(struct.error):
        unpack_reply(b"123456789")


def test_a_take_that_was_counted_with_the_following_window_says_so():
    windows = Plan.of(License("alice")).calendar.at(NOON)
    assert windows_counted_in(windows, 1) == windows
    assert windows_counted_in(windows, 2).day_start == windows.day_end
    assert windows_counted_in(windows, 4).month_start == windows.month_end
