"""What workers of one machine share in memory: exact limits, slots of the dead, turns at a lock."""

import asyncio
import errno
import os

import pytest

from gateway.exchange import License, Limits
from gateway.state import embedded_store, shared_counters
from gateway.state.embedded import COUNTERS
from gateway.state.embedded_store import EmbeddedStore
from gateway.state.guarded import GuardedStore
from gateway.state.rules import Demand, Plan
from gateway.state.shared_counters import SharedCounters
from gateway.state.store import ActualUse, StoreDown
from tests.gateway.state.conftest import embedded_folder_on, processes
from tests.patience import HANGING_S

# Another worker: takes when told to, settles half of it, and says how many were admitted.
WORKER = """
import asyncio, sys
from pathlib import Path
from gateway.exchange import License, Limits
from gateway.state.embedded_store import EmbeddedStore
from gateway.state.rules import Demand, Plan
from gateway.state.store import ActualUse

async def main(folder, tries, limit):
    plan = Plan.of(License("alice", limits=Limits(**{limit: 50})))
    store = EmbeddedStore(Path(folder), "test")
    print("ready", flush=True)
    sys.stdin.readline()
    admitted = 0
    for _ in range(tries):
        grant = await store.take(plan, Demand(slots=1))
        admitted += grant.refused is None
    print(admitted, flush=True)
    sys.stdin.readline()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""
# Another worker that was stopped while it counted: holds the record of alice until told.
HOLDER = """
import sys
from pathlib import Path
from gateway.state.shared_counters import SharedCounters
memory = SharedCounters(Path(sys.argv[1]))
place = memory.offset("alice")
assert memory.lock(place)
print("ready", flush=True)
sys.stdin.readline()
memory.unlock(place)
print("free", flush=True)
sys.stdin.readline()
"""


def plan(license_id="alice", **limits):
    return Plan.of(License(license_id, limits=Limits(**limits)))


@pytest.fixture
async def store(embedded_folder):
    store = EmbeddedStore(embedded_folder, "test", timeout_s=10)
    yield store
    await store.close()


async def answer_of(process):
    process.stdin.write(b"go\n")
    return (await process.stdout.readline()).strip()


@pytest.mark.parametrize("limit", ["requests_per_day", "concurrent_requests"])
async def test_several_processes_admit_exactly_the_limit(embedded_folder, limit):
    shared_counters.create(embedded_folder / COUNTERS, 4)
    async with processes(4, WORKER, embedded_folder, 400, limit) as workers:
        admitted = await asyncio.gather(*(answer_of(worker) for worker in workers))
    assert sum(map(int, admitted)) == 50


async def test_slots_of_a_killed_worker_come_free(embedded_folder, store):
    limited = plan(concurrent_requests=50)
    async with processes(1, WORKER, embedded_folder, 50, "concurrent_requests") as (worker,):
        assert await answer_of(worker) == b"50"
        await store.probe()
        assert (await store.take(limited, Demand(slots=1))).refused
        worker.kill()
        await worker.wait()
    await store.probe()
    assert (await store.take(limited, Demand(slots=1))).used == (1,)


async def test_a_worker_that_starts_has_no_slots_of_the_one_before(embedded_folder):
    shared_counters.create(embedded_folder / COUNTERS, 1)
    for _ in range(2):
        async with processes(1, WORKER, embedded_folder, 60, "concurrent_requests") as (worker,):
            assert await answer_of(worker) == b"50"


async def test_a_take_waits_for_its_turn_and_those_of_other_licenses_do_not(embedded_folder, store):
    limited = plan(requests_per_day=10)
    async with processes(1, HOLDER, embedded_folder / COUNTERS) as (holder,):
        waiting = [asyncio.create_task(store.take(limited, Demand())) for _ in range(3)]
        assert (await store.take(plan("bob", requests_per_day=10), Demand())).used == (1,)
        assert not any(take.done() for take in waiting)
        assert await answer_of(holder) == b"free"
        assert [(await take).used for take in waiting] == [(1,), (2,), (3,)]


async def test_what_is_settled_meanwhile_is_booked_in_its_order(embedded_folder, store):
    limited = plan(tokens_per_day=1_000, concurrent_requests=1)
    grant = await store.take(limited, Demand(tokens=100, slots=1))
    async with processes(1, HOLDER, embedded_folder / COUNTERS) as (holder,):
        store.settle(store.revise(grant, Demand(tokens=500, slots=1)), ActualUse(tokens=30))
        next_one = asyncio.create_task(store.take(limited, Demand(tokens=5, slots=1)))
        await asyncio.sleep(0.01)
        assert await answer_of(holder) == b"free"
        assert (await next_one).used == (35, 1)


async def test_the_last_is_booked_before_the_store_is_closed(embedded_folder):
    limited = plan(tokens_per_day=1_000)
    store = EmbeddedStore(embedded_folder, "test", timeout_s=10)
    grant = await store.take(limited, Demand(tokens=100))
    async with processes(1, HOLDER, embedded_folder / COUNTERS) as (holder,):
        store.settle(grant, ActualUse(tokens=30))
        closing = asyncio.create_task(store.close())
        await answer_of(holder)
        await closing
    again = EmbeddedStore(embedded_folder, "test", timeout_s=10)
    assert (await again.take(limited, Demand(tokens=1))).used == (31,)
    await again.close()


async def test_a_worker_that_does_not_go_on_is_told_of(embedded_folder, store, monkeypatch):
    monkeypatch.setattr(embedded_store, "PATIENCE_S", 0.05)
    async with processes(1, HOLDER, embedded_folder / COUNTERS) as (holder,):
        with pytest.raises(StoreDown, match="hangs"):
            await store.take(plan(requests_per_day=10), Demand())
        # The next one is not made to wait as long, and in vain.
        monkeypatch.setattr(embedded_store, "PATIENCE_S", 1e6)
        with pytest.raises(StoreDown, match="hangs"):
            await store.take(plan(requests_per_day=10), Demand())
        await answer_of(holder)
    # What was given up did not count.
    assert (await store.take(plan(requests_per_day=10), Demand())).used == (1,)
    assert not store._stuck_licenses


async def test_who_leaves_while_waiting_holds_nothing(embedded_folder, store):
    limited = plan(concurrent_requests=1)
    async with processes(1, HOLDER, embedded_folder / COUNTERS) as (holder,):
        waiting = asyncio.create_task(store.take(limited, Demand(slots=1)))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await answer_of(holder)
    grant = await store.take(limited, Demand(slots=1))
    assert grant.refused is None
    store.settle(grant, ActualUse())


async def test_who_leaves_just_as_the_turn_comes_holds_nothing(embedded_folder, store, monkeypatch):
    # Or else the turn might come while the holder tells that it has left.
    monkeypatch.setattr(embedded_store, "RETRY_S", 60.0)
    limited = plan(concurrent_requests=1)
    async with processes(1, HOLDER, embedded_folder / COUNTERS) as (holder,):
        waiting = asyncio.create_task(store.take(limited, Demand(slots=1)))
        await asyncio.sleep(0.01)
        await answer_of(holder)
        # Its turn comes here, and nobody has run since.
        assert (await store.take(limited, Demand(slots=1))).refused
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (await store.take(limited, Demand(slots=1))).refused is None


async def test_each_process_finds_the_records_of_the_others(embedded_folder, store):
    other = SharedCounters(embedded_folder / COUNTERS)
    names = [f"license-{number}" for number in range(300)]
    places = [other.offset(name) for name in names[::2]]
    assert len(set(places)) == 150
    for name in names:
        await store.take(plan(name, requests_per_day=10), Demand())
    assert [store._shared.offset(name) for name in names[::2]] == places
    assert [other.offset(name) for name in names] == [store._shared.offset(name) for name in names]
    other.close()


async def test_limits_hold_though_the_private_server_is_gone(own_valkey):
    limited = plan(requests_per_day=10)
    with embedded_folder_on(own_valkey) as folder:
        store = GuardedStore(EmbeddedStore(folder, "test", timeout_s=0.05), "deny")
        await store.open()
        own_valkey.kill()
        async with asyncio.timeout(HANGING_S):
            while not store._breaker.open:
                assert await store.get(["a"]) == [None]
                await asyncio.sleep(0.01)
        grant = await store.take(limited, Demand())
        assert (grant.used, grant.degraded, store.degraded) == ((1,), False, False)
        assert await store.check() is None
        store.settle(grant, ActualUse())
        await store.close()


async def test_where_memory_ends_it_is_told(embedded_folder, store, monkeypatch):
    await store.take(plan(requests_per_day=10), Demand())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(StoreDown, match="no memory for counters: No space left"):
            await store.take(plan("bob", requests_per_day=10), Demand())
        # Then it is not known whether anything is kept of that one.
        store.note_values("bob", 60)
        assert store.may_have_values("bob")
    monkeypatch.setattr(shared_counters, "MOST_LICENSES", 1)
    with pytest.raises(StoreDown, match="more than 1 licenses"):
        await store.take(plan("bob", requests_per_day=10), Demand())
    assert (await store.take(plan(requests_per_day=10), Demand())).used == (2,)


async def test_more_processes_than_workers_are_refused(embedded_folder, monkeypatch):
    shared_counters.create(embedded_folder / COUNTERS, 1)
    monkeypatch.setattr(shared_counters, "CLAIM_TIMEOUT_S", 0.05)
    async with processes(1, HOLDER, embedded_folder / COUNTERS):
        with pytest.raises(StoreDown, match="more processes than workers"):
            SharedCounters(embedded_folder / COUNTERS)
    SharedCounters(embedded_folder / COUNTERS).close()


async def test_that_values_are_kept_is_known_in_every_process(embedded_folder, store):
    limited = plan(requests_per_day=10)
    await store.take(limited, Demand())
    assert not store.may_have_values("alice")
    other = SharedCounters(embedded_folder / COUNTERS)
    assert other.keep_until("alice", store._wall() + 60)
    assert store.may_have_values("alice")
    other.close()


async def test_that_values_are_kept_and_what_is_counted_leave_one_another_alone(embedded_folder):
    clock, wall = 1_000.0, 1_790_000_000.0
    store = EmbeddedStore(
        embedded_folder, "test", timeout_s=10, clock=lambda: clock, wall=lambda: wall
    )
    everything = plan(**dict.fromkeys(Limits.__dataclass_fields__, 1_000))
    demand = Demand(tokens=7, usd=5, slots=1)
    for times in (1, 2, 3):
        used = (await store.take(everything, demand)).used
        assert used == tuple(times * demand[rule.unit] for rule in everything.rules)
        assert store.may_have_values("alice") == (times > 1)
        store.note_values("alice", 60)
    wall += 61
    assert not store.may_have_values("alice")
    await store.close()
