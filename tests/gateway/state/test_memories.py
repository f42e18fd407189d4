"""Memories of conversations that another process continues."""

from gateway.exchange import License, Limits
from gateway.state.local_memories import LocalMemories
from gateway.state.memories import SharedMemories, _name
from gateway.state.rules import Demand, Plan


async def test_what_one_process_remembers_another_recalls(valkey, connect):
    first = SharedMemories(LocalMemories(), connect(valkey.url))
    second = SharedMemories(LocalMemories(), connect(valkey.url))
    first.remember("alice", [("call_1", b"\x00signature"), ("call_2", b"other")])
    assert second.may_know("alice")
    await first._store._values.close()
    known = await second.recall("alice", ["call_1", "call_9"])
    assert known == {"call_1": b"\x00signature"}
    assert await second.recall("bob", ["call_1"]) == {}


async def test_what_was_recalled_once_is_kept_here(valkey, connect):
    store = connect(valkey.url)
    memories = SharedMemories(LocalMemories(), store)
    store.put(_name("alice", "key"), b"value", 60)
    assert await memories.recall("alice", ["key"]) == {"key": b"value"}
    valkey.command("FLUSHALL")
    assert await memories.recall("alice", ["key"]) == {"key": b"value"}


async def test_nothing_is_asked_for_a_license_of_which_nothing_is_kept(valkey, connect):
    first, second = connect(valkey.url), connect(valkey.url)
    limited = Plan.of(License("alice", limits=Limits(requests_per_day=10)))
    memories = SharedMemories(LocalMemories(), second)
    assert memories.may_know("alice")
    await second.take(limited, Demand())
    assert not memories.may_know("alice")
    SharedMemories(LocalMemories(), first).remember("alice", [("call_1", b"signature")])
    await first._values.close()
    # Each request takes before it could ask.
    await second.take(limited, Demand())
    assert memories.may_know("alice")
    assert await memories.recall("alice", ["call_1"]) == {"call_1": b"signature"}
