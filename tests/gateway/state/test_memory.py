"""What only the store in memory has: it is always there."""

from gateway.exchange import License, Limits
from gateway.settings import Settings
from gateway.state.memory import MemoryStore
from gateway.state.rules import Demand, Plan
from gateway.state.store import ActualUse


async def test_it_opens_closes_reloads_and_is_never_degraded():
    store = MemoryStore()
    await store.open()
    await store.reload(Settings())
    assert await store.check() is None
    assert not store.degraded
    await store.close()


async def test_it_asks_at_the_start_what_was_spent_before():
    store = MemoryStore()
    limited = Plan.of(License("a", limits=Limits(requests_per_day=5)))

    async def seeder():
        await store.seed(limited, {"requests_per_day": 4})

    store.seeders.append(seeder)
    await store.open()
    assert (await store.take(limited, Demand())).used == (5,)


async def test_it_counts_by_the_real_clocks():
    store = MemoryStore()
    limited = Plan.of(License("a", limits=Limits(requests_per_minute=1, requests_per_day=5)))
    assert (await store.take(limited, Demand())).refused is None
    assert (await store.take(limited, Demand())).refused.name == "requests_per_minute"


async def test_settling_for_a_license_it_never_saw_changes_nothing():
    limited = Plan.of(License("a", limits=Limits(tokens_per_day=10, concurrent_requests=1)))
    grant = await MemoryStore().take(limited, Demand(tokens=5, slots=1))
    other = MemoryStore()
    other.settle(grant, ActualUse(tokens=1))
    assert (await other.take(limited, Demand(tokens=1, slots=1))).used == (1, 1)


async def test_its_tables_publish_to_nobody():
    publish = MemoryStore().table("rests", lambda *_: None)
    publish("key", b"value", 1.0)
