"""Everything that goes to a state server, on a real Cluster: no command may cross its slots."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from gateway.exchange import License, Limits
from gateway.ledger.stream import LedgerStream
from gateway.state.client import Client
from gateway.state.rules import Demand, Plan
from gateway.state.store import ActualUse, StoreDown
from gateway.state.valkey import ValkeyStore
from tests.gateway.state.servers import cluster, eventually
from tests.patience import HANGING_S

LIMITS = Limits(requests_per_day=2, tokens_per_minute=1_000, concurrent_requests=5)


@pytest.fixture(scope="module")
def url(in_memory):
    server = cluster(in_memory / "one")
    yield f"redis+cluster://127.0.0.1:{server.port}"
    server.kill()


@pytest.fixture
async def store(url):
    store = ValkeyStore(url, "test", timeout_s=10)

    async def serves():
        # A new Cluster says that it is well before it takes commands.
        try:
            await store.take(Plan.of(License("first", limits=LIMITS)), Demand())
        except StoreDown:
            return False
        return True

    await eventually(serves)
    yield store
    await store.close()


@pytest.mark.parametrize("license_id", ["alice", "}", "}{", "{", "a}b", "{x}y", "任意"])
async def test_limits_are_counted(store, license_id):
    plan = Plan.of(License(license_id, limits=LIMITS))
    grants = [await store.take(plan, Demand(tokens=5, slots=1)) for _ in range(3)]
    assert [grant.refused and grant.refused.name for grant in grants] == [
        None,
        None,
        "requests_per_day",
    ]
    store.settle(store.revise(grants[0], Demand(tokens=9, slots=1)), ActualUse(tokens=7))
    await store.seed(plan, {"requests_per_day": 1})
    await store.tend()
    assert store.nodes == 1


async def test_what_is_learned_is_shared(url, store):
    store.put("a", b"1", 60)
    store.put("b", b"2", 60)
    assert await store.get(["a", "b", "c"]) == [b"1", b"2", None]
    received = []
    other = ValkeyStore(url, "test", timeout_s=10)
    other.table("refusals", lambda key, *_: received.append(key))
    store.table("refusals", lambda *_: None)("model feature", b"", 60)
    await store.pull()
    await other.pull()
    assert received == ["model feature"]
    await other.close()


async def test_a_cluster_that_is_gone_is_down_and_nobody_hangs(tmp_path):
    server = cluster(tmp_path / "gone")
    server.kill()
    store = ValkeyStore(f"redis+cluster://127.0.0.1:{server.port}", "test", timeout_s=5)
    with pytest.raises(StoreDown):
        async with asyncio.timeout(HANGING_S):
            await store.take(Plan.of(License("alice", limits=LIMITS)), Demand())
    await store.close()


async def test_the_ledger_takes_its_way(url, store):
    stream = LedgerStream(Client(url, 1.0, {}), "test:ledger", "one")
    await stream.add([])
    entries = await stream.take()
    assert len(entries) == 1
    await stream.acknowledge(entries)
    assert await stream.take() == []
    await stream.close()


@given(st.text(max_size=8) | st.text("{}a", max_size=8))
def test_all_keys_of_a_license_share_a_slot(license_id):
    store = ValkeyStore("redis://localhost", "test")
    keys = [store._key(kind, license_id).encode() for kind in ("counts", "slots", "kept")]
    assert len({key_slot(key) for key in keys}) == 1
    assert len(set(keys)) == 3
