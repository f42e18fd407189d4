"""Settlements that were lost are sent once more, as far as they cannot count twice."""

import pytest

from gateway.state import lost as lost_module
from gateway.state.counter_script import SHA
from gateway.state.lost import LostSettlements


def settlement(slot: bytes) -> tuple:
    return ("EVALSHA", SHA, b"2", b"counts", b"slots", slot, b"request")


@pytest.fixture
def lost():
    return LostSettlements()


def test_of_what_may_have_been_done_only_the_slots_are_given_back_once_more(lost):
    lost.note((settlement(b"1"), ("ZREM", b"slots", b"2"), settlement(b"")), True)
    [(name, key, *slots)] = lost.pop()
    assert (name, key, set(slots)) == ("ZREM", b"slots", {b"1", b"2"})
    assert lost.pop() == []


def test_what_was_never_done_is_sent_as_it_was(lost):
    lost.note((settlement(b"1"), ("ZADD", b"slots", 1, b"3")), False)
    lost.note((settlement(b""),), False)
    assert lost.pop() == [settlement(b"1"), settlement(b"")]
    assert lost.pop() == []


def test_there_is_a_bound_beyond_which_only_slots_are_remembered(lost, monkeypatch):
    monkeypatch.setattr(lost_module, "MAX_QUEUE", 1)
    for slot in (b"1", b"2"):
        lost.note((settlement(slot),), False)
    assert lost.pop() == [("ZREM", b"slots", b"2"), settlement(b"1")]
