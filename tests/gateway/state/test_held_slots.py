"""Slots are known until they are given back, and longer where the server may not have heard it."""

from gateway.state.counter_script import SHA
from gateway.state.held_slots import HeldSlots


def test_no_two_slots_have_the_same_name():
    here, there = HeldSlots(), HeldSlots()
    assert len({here.new(), here.new(), there.new(), there.new()}) == 4


def test_what_is_given_back_is_held_no_more():
    slots = HeldSlots()
    slots.hold("alice", "1")
    slots.hold("alice", "2")
    slots.release("alice", "1")
    assert dict(slots.held()) == {"alice": {"2"}}
    slots.release("alice", "2")
    assert dict(slots.held()) == {}


def test_what_the_server_may_not_have_heard_is_given_back_once_more():
    slots = HeldSlots()
    take, settle = (b"1", b"take"), (b"", b"settle")
    lost = [("EVALSHA", SHA, b"2", b"counts", b"slots", *words) for words in (take, settle)]
    slots.note_unfreed((*lost, ("ZREM", b"slots", b"2"), ("ZADD", b"slots", 1, b"3")))
    assert dict(slots.pop_unfreed()) == {b"slots": {b"1", b"2"}}
    assert dict(slots.pop_unfreed()) == {}
