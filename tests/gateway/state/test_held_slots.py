"""Slots are known until they are given back."""

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
