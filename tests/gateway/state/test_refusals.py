"""What models refuse, learned by one process and known to all."""

import time

from gateway.healing import LearnedRefusals
from gateway.state.memory import MemoryStore
from gateway.state.refusals import SharedRefusals


async def test_what_one_process_learns_the_others_know(valkey, connect):
    stores = connect(valkey.url), connect(valkey.url)
    first, second = (SharedRefusals(LearnedRefusals(time.monotonic), store) for store in stores)
    first.learn("gemini-x", "penalties")
    first.learn("gemini-x", "max_tokens=0..8192")
    await stores[0].pull()
    await stores[1].pull()
    known = {"penalties", "max_tokens=0..8192"}
    assert first.of("gemini-x") == second.of("gemini-x") == known


async def test_alone_a_process_knows_what_it_learned():
    refusals = SharedRefusals(LearnedRefusals(time.monotonic), MemoryStore())
    refusals.learn("gemini-x", "seed")
    assert refusals.of("gemini-x") == {"seed"}
    assert refusals.of("gemini-y") == frozenset()
