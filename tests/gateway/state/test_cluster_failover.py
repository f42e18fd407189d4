"""A real Cluster of several members: one is lost and replaced, slots wander to another."""

import asyncio
from functools import partial

import pytest
from redis.crc import key_slot

from gateway.exchange import License, Limits
from gateway.state.rules import Demand, Plan
from gateway.state.store import StoreDown
from gateway.state.valkey import ValkeyStore
from tests.gateway.state.servers import BORDERS, Three, eventually

pytestmark = pytest.mark.xdist_group("cluster")
LIMITS = Limits(requests_per_day=4)


@pytest.fixture(scope="module")
def clusters(request, in_memory):
    """Yield as many as there are tests, that become ready together: each takes seconds to."""
    tests = [item for item in request.session.items if item.path == request.path]
    clusters = [Three(in_memory / str(number)) for number in range(len(tests))]

    async def join():
        await asyncio.gather(*(three.join() for three in clusters))

    try:
        asyncio.run(join())
        yield iter(clusters)
    finally:
        for three in clusters:
            three.kill()


@pytest.fixture
def members(clusters):
    """Yield a Cluster that no other test has."""
    three = next(clusters)
    yield three
    three.kill()


@pytest.fixture
async def store(members):
    store = ValkeyStore(f"redis+cluster://127.0.0.1:{members.masters[1].port}", "test", timeout_s=1)
    # The time above is for what the tests are about, not for connecting amid many new servers.
    for place in range(3):
        await eventually(partial(is_admitted, store, plan_at(store, place, "first")))
    yield store
    await store.close()


def plan_at(store: ValkeyStore, place: int, prefix: str = "license") -> Plan:
    """Return the plan of a license that is counted at the master of that *place*."""
    slots = range(BORDERS[place], BORDERS[place + 1])
    names = (f"{prefix}-{number}" for number in range(10_000))
    name = next(name for name in names if key_slot(store._key("counts", name).encode()) in slots)
    return Plan.of(License(name, limits=LIMITS))


async def is_admitted(store: ValkeyStore, plan: Plan) -> bool:
    try:
        await store.take(plan, Demand())
    except StoreDown:
        return False
    return True


@pytest.mark.parametrize("end", ["dies", "hangs"])
async def test_counting_goes_on_at_the_promoted_replica(members, store, end):
    first, second = plan_at(store, 0), plan_at(store, 1)
    for plan in (first, second):
        assert (await store.take(plan, Demand())).used == (1,)
    await eventually(members.has_copied)
    lost = members.masters[0]
    lost.kill() if end == "dies" else lost.stop()
    assert not await is_admitted(store, first)
    await eventually(lambda: is_admitted(store, first))
    assert (await store.take(first, Demand())).used == (3,)
    # Each master learns by itself that the Cluster is whole again, and refuses until then.
    await eventually(lambda: is_admitted(store, second))
    assert (await store.take(second, Demand())).used[0] >= 2
    assert members.replica.command("ROLE")[0] == b"master"


async def test_nobody_waits_for_a_member_that_nothing_replaces(members, store):
    """Two of three masters are a Cluster still, for what is counted there."""
    plans = [plan_at(store, place) for place in range(3)]
    for plan in plans:
        assert await is_admitted(store, plan)
    members.masters[1].kill()
    members.masters[2].command("CONFIG", "SET", "cluster-require-full-coverage", "no")
    assert not await is_admitted(store, plans[1])
    assert await is_admitted(store, plans[2])


@pytest.mark.parametrize("place", range(3))
async def test_a_member_that_was_started_anew_is_told_from_the_one_before(members, store, place):
    """It may have come back empty, whoever asked it meanwhile."""
    assert [await store.probe() for _ in range(2)] == [False, False]
    members.masters[place].kill()
    members.masters[place].start()
    await eventually(partial(probed, store))
    assert not await store.probe()


async def test_a_member_that_is_away_hides_no_other(members, store):
    await store.probe()
    members.masters[1].kill()
    members.masters[2].kill()
    members.masters[2].start()
    await eventually(partial(probed, store))


async def probed(store: ValkeyStore) -> bool:
    try:
        return await store.probe()
    except StoreDown:
        return False


async def test_slots_that_wander_are_followed(members, store):
    plan = plan_at(store, 1)
    slot = key_slot(store._key("counts", plan.license_id).encode())
    _, here, there = members.masters
    assert await is_admitted(store, plan)
    name = there.command("CLUSTER", "MYID").decode()
    key = store._key("counts", plan.license_id)
    there.command("CLUSTER", "SETSLOT", slot, "IMPORTING", here.command("CLUSTER", "MYID"))
    here.command("CLUSTER", "SETSLOT", slot, "MIGRATING", name)
    here.command("MIGRATE", "127.0.0.1", there.port, key, 0, 5_000)
    for member in (there, here):
        member.command("CLUSTER", "SETSLOT", slot, "NODE", name)
    assert (await store.take(plan, Demand())).used == (2,)
