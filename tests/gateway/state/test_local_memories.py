"""Memories in the process."""

from gateway.state.local_memories import LocalMemories


async def test_what_was_remembered_is_recalled_in_its_own_scope_only():
    memories = LocalMemories()
    memories.remember("a", [("k", b"1"), ("l", b"2")])
    assert await memories.recall("a", ["k", "l", "m"]) == {"k": b"1", "l": b"2"}
    assert await memories.recall("b", ["k"]) == {}


async def test_the_longest_unused_entry_goes_first():
    memories = LocalMemories(max_entries=2)
    memories.remember("a", [("k", b"1"), ("l", b"2")])
    await memories.recall("a", ["k"])
    memories.remember("a", [("m", b"3")])
    assert (await memories.recall("a", ["k", "l", "m"])).keys() == {"k", "m"}


async def test_all_entries_together_stay_within_the_bytes():
    memories = LocalMemories(max_bytes=10_000)
    for number in range(100):
        memories.remember("a", [(str(number), b"x" * 1_000)])
    values = await memories.recall("a", [str(number) for number in range(100)])
    assert list(values) == [str(number) for number in range(92, 100)]


async def test_an_entry_that_would_crowd_out_all_others_is_not_kept():
    memories = LocalMemories(max_bytes=10_000)
    memories.remember("a", [("k", b"small")])
    memories.remember("a", [("k", b"x" * 5_000)])
    assert await memories.recall("a", ["k"]) == {}


async def test_an_entry_remembered_again_counts_once():
    memories = LocalMemories(max_bytes=10_000)
    for _ in range(100):
        memories.remember("a", [("k", b"x" * 1_000), ("l", b"y")])
    assert len(await memories.recall("a", ["k", "l"])) == 2


async def test_a_scope_without_entries_need_not_be_asked():
    memories = LocalMemories(max_entries=2)
    assert not memories.may_know("a")
    memories.remember("a", [("x", b"1"), ("x", b"2")])
    assert (memories.may_know("a"), memories.may_know("b")) == (True, False)
    memories.remember("b", [("x", b"1"), ("y", b"1")])
    assert (memories.may_know("a"), memories.may_know("b")) == (False, True)
