"""A real Valkey killed, hung and restarted under the store: waits are short, the policy holds."""

import asyncio

import pytest
import structlog
from redis.asyncio import Redis

from gateway.errors import Unavailable
from gateway.exchange import License, Limits
from gateway.state import guarded as guarded_module
from gateway.state.guarded import GuardedStore
from gateway.state.rules import Demand, Plan
from gateway.state.store import ActualUse, StoreDown
from gateway.state.valkey import ValkeyStore
from tests.gateway.state.servers import odd_server
from tests.patience import HANGING_S, own_clock

# Both longer than what ships, so that a busy machine does not look like a fault.
TIMEOUT_S = 0.25
SHORT_S = 1.0


def plan(**limits):
    return Plan.of(License("alice", limits=Limits(**limits)))


@pytest.fixture
async def guarded(own_valkey):
    stores = []

    async def make(policy="local", **more):
        shared = ValkeyStore(own_valkey.url, "test", timeout_s=TIMEOUT_S, **more)
        store = GuardedStore(shared, policy)
        await store.open()
        stores.append(store)
        return store

    yield make
    for store in stores:
        await store.close()


async def until(condition):
    async with asyncio.timeout(HANGING_S):
        while not condition():
            await asyncio.sleep(0.02)


async def take_until_degraded(store, limited):
    """Take until the store has given up on the server; give the longest single wait."""
    longest = 0.0
    while not store.degraded:
        began = own_clock()
        await store.take(limited, Demand())
        longest = max(longest, own_clock() - began)
    return longest


@pytest.mark.parametrize("fault", ["kill", "hang"])
async def test_a_dead_or_hung_server_costs_little_then_nothing_and_comes_back(
    own_valkey, guarded, fault
):
    store = await guarded()
    limited = plan(requests_per_minute=1_000_000)
    assert not (await store.take(limited, Demand())).degraded
    getattr(own_valkey, fault)()
    assert await take_until_degraded(store, limited) < SHORT_S
    began = own_clock()
    grants = [await store.take(limited, Demand()) for _ in range(100)]
    assert own_clock() - began < SHORT_S
    assert all(grant.degraded and grant.refused is None for grant in grants)
    own_valkey.start() if fault == "kill" else own_valkey.resume()
    await until(lambda: not store.degraded)
    assert not (await store.take(limited, Demand())).degraded


@pytest.mark.parametrize("reply", [b"+OK\r\n", b":5\r\n", b"*0\r\n"])
async def test_what_answers_but_is_no_state_server_is_one_that_is_down(own_valkey, guarded, reply):
    store = await guarded()
    limited = plan(requests_per_day=1_000_000)
    own_valkey.kill()
    async with odd_server(own_valkey.socket, reply):
        assert (await store.take(limited, Demand())).degraded
        await store._tick(renew=True)
    own_valkey.start()
    await store._tick(renew=True)
    assert not (await store.take(limited, Demand())).degraded


async def test_many_who_wait_for_a_hung_server_wait_together(own_valkey, guarded):
    store = await guarded()
    limited = plan(requests_per_minute=1_000_000)
    own_valkey.hang()
    began = own_clock()
    grants = await asyncio.gather(*(store.take(limited, Demand()) for _ in range(300)))
    assert own_clock() - began < SHORT_S
    assert all(grant.degraded for grant in grants)
    own_valkey.resume()


async def test_a_request_waits_once_only_for_a_server_that_hangs(own_valkey, guarded):
    store = await guarded()
    store.put("a", b"1", 60)
    assert await store.get(["a"]) == [b"1"]
    own_valkey.hang()
    await store.take(plan(requests_per_minute=10), Demand())
    calls = []
    store._shared.get = calls.append
    assert await store.get(["a"]) == [None]
    assert not calls
    own_valkey.resume()


async def test_values_that_cannot_be_had_open_the_breaker_as_well(own_valkey, guarded):
    store = await guarded()
    own_valkey.kill()
    assert await store.get(["a"]) == [None]
    assert store._breaker.doubtful


async def test_alone_a_node_admits_its_share_of_the_limit(own_valkey, guarded):
    first, _ = await guarded(), await guarded()
    await first._tick(renew=True)
    own_valkey.kill()
    limited = plan(requests_per_minute=10)
    await take_until_degraded(first, plan(requests_per_day=10**9))
    grants = [await first.take(limited, Demand()) for _ in range(10)]
    assert sum(grant.refused is None for grant in grants) == 5


async def test_allow_admits_everybody(own_valkey, guarded):
    store = await guarded("allow")
    own_valkey.kill()
    grants = [await store.take(plan(requests_per_minute=1), Demand()) for _ in range(10)]
    assert all(grant.refused is None and grant.degraded for grant in grants)
    store.settle(grants[0], ActualUse())


async def test_deny_admits_nobody_and_says_when_to_come_again(own_valkey, guarded):
    store = await guarded("deny")
    own_valkey.kill()
    with pytest.raises(Unavailable) as raised:
        await store.take(plan(requests_per_minute=1), Demand())
    assert raised.value.retry_after == 1.0


async def test_a_server_that_is_down_at_the_start_is_no_error(own_valkey, guarded):
    own_valkey.kill()
    store = await guarded()
    assert store.degraded
    assert await store.get(["key"]) == [None]
    store.put("key", b"value", 10)
    own_valkey.start()
    await until(lambda: not store.degraded)
    store.put("key", b"value", 10)
    assert await store.get(["key"]) == [b"value"]


async def test_slots_taken_before_a_restart_are_counted_again_after_it(own_valkey, guarded):
    store = await guarded()
    limited = plan(concurrent_requests=1)
    grant = await store.take(limited, Demand(slots=1))
    own_valkey.kill()
    own_valkey.start()
    # The first finds the old connection dead.
    await store._tick(renew=True)
    await store._tick(renew=True)
    assert (await store.take(limited, Demand(slots=1))).refused
    store.settle(grant, ActualUse())
    assert (await store.take(limited, Demand(slots=1))).refused is None


async def test_going_down_is_logged_once_a_minute_and_coming_back_once(own_valkey, guarded):
    with structlog.testing.capture_logs() as lines:
        store = await guarded()
        own_valkey.kill()
        for _ in range(5):
            await store.take(plan(requests_per_minute=100), Demand())
        own_valkey.start()
        await until(lambda: not store.degraded)
        await store._tick(renew=False)
    assert [line["event"] for line in lines] == ["state_server_down", "state_server_back"]
    assert (lines[0]["policy"], lines[0]["nodes"]) == ("local", 1)


async def test_a_server_that_comes_back_empty_is_told_what_was_spent(own_valkey, guarded):
    store = await guarded()
    limited = plan(tokens_per_day=100)

    async def seeder():
        await store.seed(limited, {"tokens_per_day": 60})

    store.seeders.append(seeder)
    own_valkey.kill()
    await store._tick(renew=False)
    own_valkey.start()
    await until(lambda: not store.degraded)
    assert (await store.take(limited, Demand(tokens=1))).used == (61,)


async def test_what_is_reserved_alone_is_revised_and_settled_alone(own_valkey, guarded):
    store = await guarded()
    limited = plan(tokens_per_day=1_000)
    own_valkey.kill()
    await store._tick(renew=False)
    grant = await store.take(limited, Demand(tokens=100))
    grant = store.revise(grant, Demand(tokens=400))
    assert (await store.take(limited, Demand(tokens=1))).used == (401,)
    store.settle(grant, ActualUse(tokens=30))
    assert (await store.take(limited, Demand(tokens=1))).used == (32,)


async def test_a_server_that_was_never_there_leaves_the_whole_limit(own_valkey, guarded):
    own_valkey.kill()
    store = await guarded()
    limited = plan(requests_per_day=2)
    grants = [await store.take(limited, Demand()) for _ in range(3)]
    assert [grant.refused is None for grant in grants] == [True, True, False]


async def test_what_is_reserved_on_the_server_is_revised_and_settled_there(guarded):
    store = await guarded()
    limited = plan(tokens_per_day=1_000)
    grant = store.revise(await store.take(limited, Demand(tokens=100)), Demand(tokens=400))
    assert (await store.take(limited, Demand(tokens=1))).used == (401,)
    store.settle(grant, ActualUse(tokens=30))
    assert (await store.take(limited, Demand(tokens=1))).used == (32,)


async def test_the_watch_renews_slots_that_are_held(guarded, monkeypatch):
    monkeypatch.setattr("gateway.state.guarded.TICK_S", 0.05)
    store = await guarded(slot_ttl_s=0.8)
    limited = plan(concurrent_requests=1)
    await store.take(limited, Demand(slots=1))
    await asyncio.sleep(1.0)
    assert (await store.take(limited, Demand(slots=1))).refused


async def test_slots_are_renewed_however_long_seeding_takes(own_valkey, guarded):
    store = await guarded()
    limited = plan(concurrent_requests=1)
    now = 1_790_000_000.0
    store._shared._clock = lambda: now
    await store.take(limited, Demand(slots=1))
    seeded = asyncio.Event()
    store.seeders.append(seeded.wait)
    store._note_failure(StoreDown("one late answer"))
    for _ in range(4):
        await store._tick(renew=True)
        now += store._shared.slot_ttl_s * 0.7
    assert (await store.take(limited, Demand(slots=1))).refused
    assert not seeded.is_set()
    seeded.set()


async def test_a_server_that_was_away_counts_once_it_is_told_what_was_spent(own_valkey, guarded):
    store = await guarded()
    is_seeded = asyncio.Event()
    store.seeders.append(is_seeded.wait)
    own_valkey.kill()
    await store._tick(renew=False)
    own_valkey.start()
    await store._tick(renew=True)
    await store._tick(renew=True)
    assert store.degraded
    is_seeded.set()
    await store._tick(renew=True)
    assert not store.degraded


async def test_a_server_counts_as_soon_as_it_is_told_what_was_spent(guarded, monkeypatch):
    store = await guarded()
    store._watch.cancel()
    monkeypatch.setattr(guarded_module, "TICK_S", 60.0)
    is_seeded = asyncio.Event()
    store.seeders.append(is_seeded.wait)
    store._breaker.trip()
    store._unseeded = True
    await store._tick(renew=True)
    store._watch = asyncio.create_task(store._keep_watch())
    assert store.degraded
    is_seeded.set()
    await until(lambda: not store.degraded)


async def test_what_was_admitted_alone_until_the_server_counted_is_made_good(guarded):
    store = await guarded()
    limited = plan(requests_per_day=100)
    admitted = []

    async def seeder():
        await store.seed(limited, {"requests_per_day": len(admitted)})
        if store.degraded:
            # Too late for the sum.
            admitted.append(await store.take(limited, Demand()))

    store.seeders.append(seeder)
    store._breaker.trip()
    store._unseeded = True
    await store._tick(renew=True)
    assert not store.degraded
    await store._tick(renew=False)
    assert (await store.take(limited, Demand())).used == (2,)


async def test_a_server_that_goes_away_ends_what_it_was_to_be_told(own_valkey, guarded):
    store = await guarded()
    calls = []

    async def seeder():
        calls.append(1)
        await asyncio.sleep(3_600)

    store.seeders.append(seeder)
    store._note_failure(StoreDown("one late answer"))
    await store._tick(renew=False)
    own_valkey.kill()
    await store._tick(renew=False)
    own_valkey.start()
    await until(lambda: len(calls) == 2)


async def test_a_restart_that_no_request_noticed_is_made_good(own_valkey, guarded):
    store = await guarded()
    limited = plan(tokens_per_day=100, concurrent_requests=2)
    await store.take(limited, Demand(tokens=10, slots=1))

    async def seeder():
        await store.seed(limited, {"tokens_per_day": 60})

    store.seeders.append(seeder)
    own_valkey.kill()
    own_valkey.start()
    # The end of the old connection is heard of.
    await asyncio.sleep(0.05)
    store._unseeded = False
    await store._tick(renew=False)
    assert not store.degraded
    assert (await store.take(limited, Demand(tokens=1, slots=1))).used == (61, 2)


async def test_a_server_that_somebody_empties_is_told_what_was_spent(own_valkey, guarded):
    store = await guarded()
    limited = plan(tokens_per_day=100)

    async def seeder():
        await store.seed(limited, {"tokens_per_day": 60})

    store.seeders.append(seeder)
    own_valkey.command("FLUSHALL")
    await store._tick(renew=True)
    assert (await store.take(limited, Demand(tokens=1))).used == (61,)


async def test_a_server_that_can_only_be_read_is_not_back(own_valkey, guarded, monkeypatch):
    monkeypatch.setattr(guarded_module, "TICK_S", 0.02)
    client = Redis.from_url(own_valkey.url)
    # Of a master that is gone.
    await client.replicaof("127.0.0.1", "1")
    with structlog.testing.capture_logs() as lines:
        store = await guarded()
        await until(lambda: store.degraded)
        await asyncio.sleep(0.2)
        assert [line["event"] for line in lines] == ["state_server_down"]
        await client.replicaof("NO", "ONE")
        await until(lambda: len(lines) == 2)
    assert lines[1]["event"] == "state_server_back"
    assert not store.degraded
    await client.aclose()
