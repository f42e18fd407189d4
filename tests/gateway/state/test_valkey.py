"""What only several processes show: exact limits across them, and slots of the dead."""

import asyncio
from tempfile import mkdtemp

import pytest

from gateway.exchange import License, Limits
from gateway.state import valkey as valkey_store
from gateway.state.rules import Demand, Plan
from gateway.state.store import ActualUse, Grant, NotDone, StoreDown
from gateway.state.valkey import ValkeyStore
from tests.conftest import Valkey
from tests.gateway.state.conftest import PATIENT_S, processes
from tests.patience import HANGING_S

# Another process of the gateway: takes when told to, says how many were admitted, holds them.
TAKER = """
import asyncio, sys
from gateway.exchange import License, Limits
from gateway.state.rules import Demand, Plan
from gateway.state.valkey import ValkeyStore

async def main(url, tries, limit):
    plan = Plan.of(License("alice", limits=Limits(**{limit: 20})))
    store = ValkeyStore(url, "test", timeout_s=10, slot_ttl_s=1.0)
    await store.probe()
    print("ready", flush=True)
    sys.stdin.readline()
    grants = await asyncio.gather(*(store.take(plan, Demand(slots=1)) for _ in range(tries)))
    print(sum(grant.refused is None for grant in grants), flush=True)
    await asyncio.sleep(60)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""


def plan(license_id="alice", **limits):
    return Plan.of(License(license_id, limits=Limits(**limits)))


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(**config):
        servers.append(Valkey(tmp_path, **config))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.mark.parametrize("limit", ["requests_per_day", "concurrent_requests"])
async def test_several_processes_together_admit_exactly_the_limit(valkey, limit):
    async with processes(3, TAKER, valkey.url, 70, limit) as takers:
        for process in takers:
            process.stdin.write(b"\n")
        admitted = [int(await process.stdout.readline()) for process in takers]
    assert sum(admitted) == 20


async def test_slots_of_a_killed_process_free_themselves(valkey, store):
    limited = plan(concurrent_requests=20)
    async with processes(1, TAKER, valkey.url, 20, "concurrent_requests") as [process]:
        process.stdin.write(b"\n")
        assert await process.stdout.readline() == b"20\n"
        assert (await store.take(limited, Demand(slots=1))).refused
    async with asyncio.timeout(10):
        while (await store.take(limited, Demand(slots=1))).refused:
            await asyncio.sleep(0.05)


async def test_slots_that_are_renewed_outlive_their_time(store):
    now = 1_790_000_000.0
    store._clock = lambda: now
    limited = plan(concurrent_requests=1)
    grant = await store.take(limited, Demand(slots=1))
    for _ in range(4):
        now += 0.7
        await store.tend()
    assert (await store.take(limited, Demand(slots=1))).refused
    store.settle(grant, ActualUse())
    await store.tend()
    assert (await store.take(limited, Demand(slots=1))).refused is None


async def test_a_slot_that_was_renewed_ends_with_its_process(valkey):
    now = 1_790_000_000.0
    store = ValkeyStore(valkey.url, "test", timeout_s=PATIENT_S, slot_ttl_s=60.0, clock=lambda: now)
    limited = plan(concurrent_requests=1)
    await store.take(limited, Demand(slots=1))
    now += 50
    await store.tend()
    for seconds, is_refused in ((59, True), (2, False)):
        now += seconds
        assert ((await store.take(limited, Demand(slots=1))).refused is not None) is is_refused
    (slots,) = valkey.command("KEYS", "*slots*")
    assert valkey.command("ZCARD", slots.decode()) == 1, "those that ended take no memory"
    await store.close()


async def test_a_client_that_leaves_while_a_slot_is_taken_holds_none(store):
    limited = plan(concurrent_requests=1, tokens_per_day=100)
    task = asyncio.ensure_future(store.take(limited, Demand(tokens=10, slots=1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    grant = await store.take(limited, Demand(tokens=5, slots=1))
    assert (grant.refused, grant.used[1]) == (None, 1)
    store.settle(grant, ActualUse())
    assert (await store.take(limited, Demand(tokens=5, slots=1))).used == (5, 1)


async def leave_after(store, limited, turns: int) -> None:
    """Take from *limited* for a client that leaves when the loop has turned *turns* times."""
    task = asyncio.ensure_future(store.take(limited, Demand(tokens=100, slots=1)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    [result] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result, Grant) and not result.refused:
        store.settle(result, ActualUse())
    await store._counts.close()


async def test_a_client_that_leaves_at_any_time_holds_nothing(store):
    limited = plan(concurrent_requests=1, tokens_per_day=1_000)
    for turns in range(200):
        await leave_after(store, limited, turns)
    assert (await store.take(limited, Demand(tokens=1, slots=1))).used == (1, 1)


async def test_a_client_that_leaves_while_it_is_refused_makes_no_room(store):
    limited = plan(concurrent_requests=1, tokens_per_day=100)
    store.settle(await store.take(limited, Demand(tokens=100, slots=1)), ActualUse(tokens=100))
    for turns in range(200):
        await leave_after(store, limited, turns)
    assert (await store.take(limited, Demand(tokens=1))).used == (100, 0)


async def test_an_answer_that_comes_too_late_leaves_no_slot_taken(own_valkey, connect):
    hasty, patient = connect(own_valkey.url), connect(own_valkey.url)
    limited = plan(concurrent_requests=1)
    await hasty.probe()
    hasty._counts._timeout_s = 0.1
    own_valkey.hang()
    with pytest.raises(StoreDown):
        await hasty.take(limited, Demand(slots=1))
    own_valkey.resume()
    async with asyncio.timeout(10):
        while (grant := await patient.take(limited, Demand(slots=1))).refused:
            await asyncio.sleep(0.02)
    assert grant.used == (1,)


async def test_what_is_settled_while_the_server_hangs_is_booked_once_it_goes_on(
    own_valkey, connect
):
    store = connect(own_valkey.url)
    store.slot_ttl_s = 60.0
    limited = plan(tokens_per_day=10_000, concurrent_requests=3)
    demand = Demand(tokens=1_000, slots=1)
    grants = [await store.take(limited, demand) for _ in range(2)]
    store._counts._timeout_s = 0.1
    own_valkey.hang()
    # It takes that one when it goes on.
    with pytest.raises(StoreDown):
        await store.take(limited, demand)
    for grant in grants:
        store.settle(grant, ActualUse(tokens=70))
    with pytest.raises(StoreDown):
        await store.tend()
    own_valkey.resume()
    store._counts._timeout_s = PATIENT_S
    await store.tend()
    assert (await store.take(limited, Demand(slots=1))).used == (140, 1)


async def test_what_the_server_refuses_to_settle_is_settled_later(own_valkey, connect):
    store = connect(own_valkey.url)
    store.slot_ttl_s = 60.0
    limited = plan(tokens_per_day=10_000, concurrent_requests=3)
    grant = await store.take(limited, Demand(tokens=1_000, slots=1))
    own_valkey.command("REPLICAOF", "127.0.0.1", "1")
    store.settle(store.revise(grant, Demand(tokens=500, slots=1)), ActualUse(tokens=70))
    with pytest.raises(StoreDown):
        await store.tend()
    own_valkey.command("REPLICAOF", "NO", "ONE")
    await store.tend()
    assert (await store.take(limited, Demand(slots=1))).used == (70, 1)


async def test_what_was_never_sent_is_not_given_back(own_valkey, connect):
    hasty, patient = connect(own_valkey.url), connect(own_valkey.url)
    limited = plan(tokens_per_day=10_000)
    used = await hasty.take(limited, Demand(tokens=1_000))
    hasty.settle(used, ActualUse(1_000))
    await hasty.probe()
    hasty._counts._timeout_s = 0.1
    own_valkey.hang()
    sent = asyncio.ensure_future(hasty.take(limited, Demand(tokens=100)))
    await asyncio.sleep(0.02)
    behind = [asyncio.ensure_future(hasty.take(limited, Demand(tokens=100))) for _ in range(5)]
    failed = await asyncio.gather(sent, *behind, return_exceptions=True)
    assert [type(error) for error in failed] == [StoreDown, *[NotDone] * 5]
    own_valkey.resume()
    await hasty._counts.close()
    assert (await patient.take(limited, Demand(tokens=0))).used == (1_000,)


async def test_nodes_count_each_other_and_those_that_leave_are_gone(valkey, store):
    other = ValkeyStore(valkey.url, "test", timeout_s=10)
    await other.tend()
    await store.tend()
    assert store.nodes == 2
    await other.close()
    await store.tend()
    assert store.nodes == 1


async def test_counting_goes_by_the_servers_clock_whatever_ours_says(store, monkeypatch):
    limited = plan(requests_per_minute=1)
    await store.take(limited, Demand())
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("time.monotonic", lambda: 5.0)
    grant = await store.take(limited, Demand())
    assert grant.refused
    assert grant.now > 1_700_000_000


async def test_the_time_of_a_grant_is_the_servers_to_the_microsecond(store, valkey):
    before = valkey.command("TIME")
    grant = await store.take(plan(requests_per_day=1), Demand())
    after = valkey.command("TIME")
    assert before <= divmod(round(grant.now * 1e6), 1_000_000) <= after


@pytest.mark.parametrize("kind", ["counts", "slots"])
async def test_counts_outlive_their_month_by_a_day_and_then_take_no_memory(store, valkey, kind):
    day_s = 86_400
    grant = await store.take(plan(tokens_per_month=9, concurrent_requests=1), Demand(slots=1))
    (key,) = valkey.command("KEYS", f"*:{kind}.*")
    kept_on_s = valkey.command("TTL", key.decode()) - (grant.windows.month_end - grant.now)
    assert day_s - 1 <= kept_on_s <= 2 * day_s


async def test_namespaces_keep_deployments_apart(valkey, store, connect):
    other = connect(valkey.url, "other")
    await other.take(plan(requests_per_day=1), Demand())
    assert (await store.take(plan(requests_per_day=1), Demand())).refused is None


async def test_what_a_version_keeps_in_another_form_is_not_seen(valkey, connect, monkeypatch):
    heard = []
    ours = connect(valkey.url)
    ours.table("rests", lambda *news: heard.append(news))
    for kind, form in valkey_store.FORMS.items():
        monkeypatch.setitem(valkey_store.FORMS, kind, form + 1)
    theirs = connect(valkey.url)
    limited = plan(requests_per_day=5, concurrent_requests=5)
    await theirs.take(limited, Demand(slots=1))
    theirs.note_values("alice", 60.0)
    theirs.put("key", b"value", 60.0)
    theirs.table("rests", heard.append)("main", b"busy", 60.0)
    await theirs.pull()
    assert await theirs.get(["key"]) == [b"value"]
    monkeypatch.undo()
    await ours.pull()
    assert heard == []
    assert (await ours.take(limited, Demand(slots=1))).used == (1, 1)
    assert not ours.may_have_values("alice")
    assert await ours.get(["key"]) == [None]


@pytest.mark.parametrize("kept", [b"", b"x", b"x" * 104, b"x" * 120])
async def test_counters_that_are_none_begin_anew(valkey, store, kept):
    valkey.command("SET", store._key("counts", "alice"), kept)
    limited = plan(requests_per_day=5)
    grant = await store.take(limited, Demand())
    assert grant.used == (1,)
    store.settle(grant, ActualUse())
    assert (await store.take(limited, Demand())).used == (2,)


async def test_a_script_the_server_has_forgotten_is_sent_again(valkey, store):
    await store.take(plan(requests_per_day=9), Demand())
    await store._values.ask(("SCRIPT", "FLUSH"))
    assert (await store.take(plan(requests_per_day=9), Demand())).used == (2,)


async def test_what_the_server_refuses_is_a_server_that_is_down(serve, connect):
    server = serve(maxmemory="1", **{"maxmemory-policy": "noeviction"})
    store = connect(server.url)
    with pytest.raises(StoreDown, match="maxmemory"):
        await store.take(plan(requests_per_day=9), Demand())


async def test_a_server_that_is_full_takes_nothing_and_gives_back_what_is_held(own_valkey, connect):
    store = connect(own_valkey.url)
    limited = plan(tokens_per_day=1000, concurrent_requests=2)
    grant = await store.take(limited, Demand(tokens=100, slots=1))
    own_valkey.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreDown, match="maxmemory"):
        await store.take(limited, Demand(tokens=100, slots=1))
    store.settle(grant, ActualUse(tokens=70))
    await store.probe()
    own_valkey.command("CONFIG", "SET", "maxmemory", "0")
    assert (await store.take(limited, Demand(tokens=100, slots=1))).used == (170, 1)


async def test_a_server_that_was_started_anew_is_told_from_the_one_before(own_valkey, connect):
    store = connect(own_valkey.url)
    assert [await store.probe() for _ in range(2)] == [False, False]
    own_valkey.kill()
    own_valkey.start()
    # The end of the old connection is heard of.
    await asyncio.sleep(0.05)
    assert [await store.probe() for _ in range(2)] == [True, False]


async def test_a_server_that_tells_nothing_of_itself_serves_all_the_same(serve, connect):
    server = serve()
    server.command("ACL", "SETUSER", "default", "-info")
    store = connect(server.url)
    assert [await store.probe() for _ in range(2)] == [False, False]


async def test_a_cluster_is_spoken_to_as_one(serve, connect, in_memory, unused_tcp_port_factory):
    port, bus_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    config = {"cluster-enabled": "yes", "port": str(port), "cluster-port": str(bus_port)}
    server = serve(dir=mkdtemp(dir=in_memory), **config)
    server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    async with asyncio.timeout(HANGING_S):
        while b"cluster_state:ok" not in server.command("CLUSTER", "INFO"):
            await asyncio.sleep(0.05)
    store = connect(f"redis+cluster://127.0.0.1:{port}")
    assert [await store.probe() for _ in range(2)] == [False, False]
    assert store._run_ids
    for name in ("a", "b", "c"):
        one = plan(name, requests_per_day=1, concurrent_requests=1)
        grant = await store.take(one, Demand(slots=1))
        assert grant.refused is None
        assert (await store.take(one, Demand(slots=1))).refused
        store.settle(grant, ActualUse())
        store.put(name, name.encode(), 60)
    assert await store.get(["a", "b", "c"]) == [b"a", b"b", b"c"]
    await store.tend()
