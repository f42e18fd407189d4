"""A real master, its replica, and a Sentinel that promotes it when the master is killed."""

from urllib.parse import quote

import pytest

from gateway.exchange import License, Limits
from gateway.state.rules import Demand, Plan
from gateway.state.store import StoreDown
from gateway.state.valkey import ValkeyStore
from tests.gateway.state.servers import Server, eventually, sentinel

# Of the Sentinel itself; the servers want none.
PASSWORD = "w?rd"


@pytest.fixture
def trio(tmp_path):
    servers = [Server(tmp_path / "master", "--save", "")]
    master = servers[0]
    servers.append(
        Server(tmp_path / "replica", "--save", "", "--replicaof", f"127.0.0.1 {master.port}")
    )
    servers.append(sentinel(tmp_path / "sentinel", master, PASSWORD))
    yield servers
    for server in servers:
        server.kill()


async def test_counting_goes_on_at_the_promoted_replica(trio):
    master, replica, watcher = trio

    async def replicated():
        # Not WAIT: it looks only at what its own client wrote.
        return replica.command("ROLE")[3:] == [b"connected", master.command("ROLE")[1]]

    async def known():
        return len(watcher.command("SENTINEL", "REPLICAS", "orders")) == 1

    await eventually(known)
    # The first of the addresses is dead: the next one is asked.
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{watcher.port}/orders"
    url += f"?sentinel_password={quote(PASSWORD)}"
    store = ValkeyStore(url, "test", timeout_s=2)
    plan = Plan.of(License("alice", limits=Limits(requests_per_day=3)))
    for _ in range(2):
        assert (await store.take(plan, Demand())).refused is None
    await eventually(replicated)
    master.kill()
    with pytest.raises(StoreDown):
        await store.take(plan, Demand())

    async def taken_over():
        try:
            await store.probe()
        except StoreDown:
            return False
        return replica.command("ROLE")[0] == b"master"

    await eventually(taken_over)
    assert (await store.take(plan, Demand())).used == (3,)
    assert (await store.take(plan, Demand())).refused
    await store.close()
