"""Memories of conversations that another process continues."""

from gateway.memories import LocalMemories
from gateway.state.memories import SharedMemories


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
    store.put("memory:alice:key", b"value", 60)
    assert await memories.recall("alice", ["key"]) == {"key": b"value"}
    valkey.command("FLUSHALL")
    assert await memories.recall("alice", ["key"]) == {"key": b"value"}
