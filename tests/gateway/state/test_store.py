"""What every binding of the store does, and that all do the same on every history."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.exchange import LIMITS, License, Limits
from gateway.state.embedded_store import EmbeddedStore
from gateway.state.memory import MemoryStore
from gateway.state.rules import Demand, Plan
from gateway.state.store import ActualUse
from gateway.state.valkey import ValkeyStore
from tests.gateway.state.conftest import embedded_folder_on

START = 1_790_000_000.0


class Clock:
    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


def plan(license_id="alice", timezone="UTC", **limits):
    return Plan.of(License(license_id, limits=Limits(**limits), timezone=timezone))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "valkey", "embedded"])
async def store(request, clock):
    if request.param == "memory":
        yield MemoryStore(clock, clock)
        return
    server = request.getfixturevalue("valkey")
    if request.param == "valkey":
        binding = ValkeyStore(server.url, "test", timeout_s=10, clock=clock)
    else:
        folder = request.getfixturevalue("embedded_folder")
        binding = EmbeddedStore(folder, "test", timeout_s=10, clock=clock, wall=clock)
    yield binding
    await binding.close()


async def test_all_rules_are_checked_before_any_is_counted(store):
    both = plan(requests_per_minute=10, concurrent_requests=1)
    await store.take(both, Demand(slots=1))
    refused = await store.take(both, Demand(slots=1))
    assert refused.refused.name == "concurrent_requests"
    assert refused.used == (1, 1)


@pytest.mark.parametrize("other", ["requests_per_minute", "concurrent_requests"])
async def test_of_several_spent_limits_the_one_with_the_longest_wait_is_named(store, other):
    both = plan(**{"requests_per_day": 1, other: 1})
    await store.take(both, Demand(slots=1))
    refused = await store.take(both, Demand(slots=1))
    assert refused.refused.name == "requests_per_day"
    assert refused.wait_us > 60e6


async def test_a_spent_limit_refuses_nobody_who_takes_nothing_of_it(store):
    limited = plan(tokens_per_minute=10, tokens_per_day=10)
    await store.take(limited, Demand(tokens=10))
    assert (await store.take(limited, Demand())).refused is None
    assert (await store.take(limited, Demand(tokens=1))).refused is not None


async def test_a_slot_given_back_is_free_for_the_next(store):
    one = plan(concurrent_requests=1)
    for _ in range(3):
        grant = await store.take(one, Demand(slots=1))
        assert grant.refused is None
        store.settle(grant, ActualUse())


async def test_of_many_at_once_exactly_the_limit_is_admitted(store):
    limited = plan(requests_per_minute=20)
    grants = await asyncio.gather(*(store.take(limited, Demand()) for _ in range(200)))
    assert sum(grant.refused is None for grant in grants) == 20


async def test_settling_replaces_the_reservation_by_what_was_used(store):
    limited = plan(tokens_per_minute=1_000, tokens_per_day=5_000)
    grant = await store.take(limited, Demand(tokens=400))
    assert grant.used == (400, 400)
    store.settle(grant, ActualUse(tokens=900))
    assert (await store.take(limited, Demand())).used == (900, 900)
    grant = await store.take(limited, Demand(tokens=50))
    store.settle(grant, ActualUse(tokens=0))
    assert (await store.take(limited, Demand())).used == (900, 900)


async def test_a_request_that_used_nothing_leaves_nothing(store):
    limited = plan(tokens_per_minute=1_000, tokens_per_day=5_000, usd_per_month=1)
    store.settle(await store.take(limited, Demand(tokens=400, usd=9)), ActualUse())
    assert (await store.take(limited, Demand())).used == (0, 0, 0)


async def test_a_reservation_may_be_revised_and_is_settled_as_revised(store, clock):
    limited = plan(tokens_per_minute=1_000, tokens_per_day=5_000, concurrent_requests=1)
    grant = await store.take(limited, Demand(tokens=400, slots=1))
    grant = store.revise(grant, Demand(tokens=2_000, slots=1))
    refused = await store.take(limited, Demand(tokens=1, slots=1))
    assert (refused.refused.name, refused.used) == ("concurrent_requests", (1_000, 2_000, 1))
    store.settle(grant, ActualUse(tokens=30))
    assert (await store.take(limited, Demand(slots=1))).used == (30, 30, 1)


async def test_revising_after_midnight_leaves_the_new_day_alone(store, clock):
    limited = plan(tokens_per_day=100)
    grant = await store.take(limited, Demand(tokens=50))
    clock.now += 86_400
    await store.take(limited, Demand(tokens=10))
    store.settle(store.revise(grant, Demand(tokens=90)), ActualUse(tokens=100))
    assert (await store.take(limited, Demand())).used == (10,)


async def test_no_limit_is_counted_as_another(store, clock):
    everything = plan(**dict.fromkeys(LIMITS, 1_000))
    demand = Demand(tokens=7, usd=5)
    for _ in range(3):
        await store.take(everything, demand)
    clock.now += 86_400
    await store.take(everything, demand)
    used = (await store.take(everything, demand)).used
    counts = dict(zip([rule.name for rule in everything.rules], used, strict=True))
    assert counts == {
        "requests_per_minute": 2,
        "tokens_per_minute": 14,
        "requests_per_day": 2,
        "tokens_per_day": 14,
        "tokens_per_month": 35,
        "usd_per_day": 10,
        "usd_per_month": 25,
        "concurrent_requests": 0,
    }


async def test_no_license_is_counted_as_another(store):
    limits = dict.fromkeys(LIMITS, 1_000)
    plans = [plan(f"license {number}", **limits) for number in range(4)]
    demand = Demand(tokens=7, usd=7, slots=1)
    for _ in range(3):
        for one in (*plans, *reversed(plans)):
            await store.take(one, demand)
    for one in plans:
        used = (await store.take(one, demand)).used
        counts = dict(zip([rule.name for rule in one.rules], used, strict=True))
        assert counts["concurrent_requests"] == counts["requests_per_day"] == 7
        assert counts["tokens_per_month"] == counts["usd_per_month"] == 49


async def test_a_reservation_is_never_more_than_the_limit(store):
    grant = await store.take(plan(tokens_per_minute=100), Demand(tokens=5_000))
    assert grant.used == (100,)


async def test_an_overdrawn_rate_is_paid_off_by_waiting(store, clock):
    limited = plan(tokens_per_minute=60)
    store.settle(await store.take(limited, Demand(tokens=1)), ActualUse(tokens=90))
    refused = await store.take(limited, Demand(tokens=1))
    assert (refused.refused.name, refused.wait_us) == ("tokens_per_minute", 31e6)
    clock.now += 31
    assert (await store.take(limited, Demand(tokens=1))).refused is None


async def test_limits_may_change_without_losing_what_was_counted(store):
    for _ in range(3):
        await store.take(plan(requests_per_day=3), Demand())
    assert (await store.take(plan(requests_per_day=3), Demand())).refused
    assert (await store.take(plan(requests_per_day=5), Demand())).used == (4,)


async def test_what_the_ledger_knows_is_seeded_once_and_only_for_days_and_months(store, clock):
    limited = plan(requests_per_minute=5, requests_per_day=10, tokens_per_month=100)
    spent = {"requests_per_minute": 3, "requests_per_day": 7, "tokens_per_month": 90}
    await store.seed(limited, spent)
    assert (await store.take(limited, Demand(tokens=5))).used == (1, 8, 95)
    await store.seed(limited, spent)
    assert (await store.take(limited, Demand(tokens=1))).used == (2, 9, 96)
    clock.now += 86_400
    assert (await store.take(limited, Demand())).used == (1, 1, 96)


async def test_seeding_raises_what_was_counted_before_it_and_lowers_nothing(store):
    limited = plan(requests_per_day=1_000, tokens_per_month=1_000)
    for _ in range(3):
        await store.take(limited, Demand(tokens=5))
    await store.seed(limited, {"requests_per_day": 700, "tokens_per_month": 10})
    assert (await store.take(limited, Demand(tokens=5))).used == (701, 20)


async def test_licenses_do_not_share_counters(store):
    await store.take(plan("a", requests_per_day=1), Demand())
    assert (await store.take(plan("b}{", requests_per_day=1), Demand())).refused is None


# Unix seconds of: 2026-03-29 is a day of 23 hours in Berlin, 2026-10-25 one of 25.
@pytest.mark.parametrize(
    ("timezone", "limit", "last_moment", "next_moment"),
    [
        ("UTC", "requests_per_day", "2026-11-23T23:59:59+00:00", "2026-11-24T00:00:00+00:00"),
        (
            "Asia/Shanghai",
            "requests_per_day",
            "2026-11-23T15:59:59+00:00",
            "2026-11-23T16:00:00+00:00",
        ),
        (
            "Europe/Berlin",
            "requests_per_day",
            "2026-03-29T21:59:59+00:00",
            "2026-03-29T22:00:00+00:00",
        ),
        (
            "Europe/Berlin",
            "requests_per_day",
            "2026-10-25T22:59:59+00:00",
            "2026-10-25T23:00:00+00:00",
        ),
        ("UTC", "tokens_per_month", "2028-02-29T23:59:59+00:00", "2028-03-01T00:00:00+00:00"),
        (
            "America/Los_Angeles",
            "usd_per_month",
            "2027-01-01T07:59:59+00:00",
            "2027-01-01T08:00:00+00:00",
        ),
    ],
)
async def test_quotas_begin_anew_at_midnight_of_their_zone(
    store, clock, timezone, limit, last_moment, next_moment
):
    one = plan(timezone=timezone, **{limit: 1})
    clock.now = datetime.fromisoformat(last_moment).timestamp()
    await store.take(one, Demand(tokens=1, usd=10**9))
    refused = await store.take(one, Demand(tokens=1, usd=1))
    assert (refused.refused.name, refused.wait_us) == (limit, pytest.approx(1e6))
    clock.now = datetime.fromisoformat(next_moment).timestamp()
    assert (await store.take(one, Demand(tokens=1, usd=1))).refused is None


async def test_settling_after_midnight_leaves_the_new_day_alone(store, clock):
    limited = plan(tokens_per_day=100)
    grant = await store.take(limited, Demand(tokens=50))
    clock.now += 86_400
    await store.take(limited, Demand(tokens=10))
    store.settle(grant, ActualUse(tokens=100))
    assert (await store.take(limited, Demand())).used == (10,)


@pytest.mark.parametrize("step", [-7_200, -86_400, 3_600])
async def test_a_clock_that_steps_neither_blocks_nor_gives_more_than_a_fresh_minute(
    store, clock, step
):
    limited = plan(requests_per_minute=5)
    for _ in range(5):
        await store.take(limited, Demand())
    clock.now += step
    admitted = [(await store.take(limited, Demand())).refused is None for _ in range(10)]
    assert sum(admitted) == (5 if step > 0 else 0)
    clock.now += 12
    assert (await store.take(limited, Demand())).refused is None


async def test_a_clock_that_steps_back_over_midnight_gives_no_fresh_quota(store, clock):
    limited = plan(requests_per_day=1)
    await store.take(limited, Demand())
    clock.now -= 86_400
    assert (await store.take(limited, Demand())).refused
    clock.now += 2 * 86_400
    assert (await store.take(limited, Demand())).refused is None


@pytest.mark.parametrize("back_h", [1, 2, 13, 24])
async def test_a_clock_that_steps_back_and_returns_finds_the_day_as_it_left_it(
    store, clock, back_h
):
    limited = plan(requests_per_day=4)
    clock.now = datetime.fromisoformat("2026-11-23T00:30Z").timestamp()
    for _ in range(2):
        await store.take(limited, Demand())
    clock.now -= back_h * 3600
    assert (await store.take(limited, Demand())).used == (3,)
    clock.now += back_h * 3600
    assert (await store.take(limited, Demand())).used == (4,)
    assert (await store.take(limited, Demand())).refused
    clock.now += 86_400
    assert (await store.take(limited, Demand())).used == (1,)


async def test_a_clock_that_was_far_ahead_holds_no_quota_back_for_longer_than_a_day(store, clock):
    limited = plan(requests_per_day=2)
    ahead = 30 * 86_400
    clock.now += ahead
    await store.take(limited, Demand())
    clock.now -= ahead
    assert (await store.take(limited, Demand())).used == (2,)
    assert (await store.take(limited, Demand())).refused
    clock.now += 86_400
    assert (await store.take(limited, Demand())).used == (1,)


QUOTAS = {"tokens_per_day": 1_000, "tokens_per_month": 9_000, "usd_per_day": 5}


async def test_what_is_reserved_after_a_clock_came_back_over_midnight_is_settled(store, clock):
    """Each request would be paid at its whole reservation until then, a month's till its end."""
    limited = plan(**QUOTAS)
    clock.now = datetime.fromisoformat("2026-11-30T23:00Z").timestamp()
    for step in (0, 7_200, -7_200):
        clock.now += step
        grant = await store.take(limited, Demand(tokens=400, usd=10**9))
    assert (await store.take(limited, Demand(tokens=5))).used[0] == 805
    grant = store.revise(grant, Demand(tokens=300, usd=10**9))
    store.settle(grant, ActualUse(tokens=10, usd=10**8))
    assert (await store.take(limited, Demand())).used == (415, 415, 1.1 * 10**9)
    clock.now += 7_200
    assert (await store.take(limited, Demand())).used == (415, 415, 1.1 * 10**9)
    clock.now += 31 * 86_400
    assert (await store.take(limited, Demand())).used == (0, 0, 0)


async def test_a_day_that_a_clock_was_in_before_moves_no_month(store, clock):
    """Else what is settled of the month is looked for in the next one, and stays reserved."""
    limited = plan(requests_per_day=9, **QUOTAS, usd_per_month=9)
    clock.now = datetime.fromisoformat("2026-11-23T23:00Z").timestamp()
    for step in (0, 7_200, -7_200):
        clock.now += step
        grant = await store.take(limited, Demand(tokens=400, usd=10**9))
    store.settle(grant, ActualUse(tokens=10, usd=10**8))
    used = (await store.take(limited, Demand(requests=0))).used
    counts = dict(zip([rule.name for rule in limited.rules], used, strict=True))
    assert counts == {
        "requests_per_day": 2,
        "tokens_per_day": 410,
        "tokens_per_month": 810,
        "usd_per_day": 1.1 * 10**9,
        "usd_per_month": 2.1 * 10**9,
    }


async def test_what_was_reserved_before_a_clock_was_ahead_went_with_its_day(store, clock):
    limited = plan(tokens_per_day=1_000)
    grant = await store.take(limited, Demand(tokens=400))
    clock.now += 86_400
    await store.take(limited, Demand(tokens=5))
    clock.now -= 86_400
    store.settle(grant, ActualUse(tokens=10))
    assert (await store.take(limited, Demand())).used == (5,)


@pytest.mark.parametrize("store", ["valkey", "embedded"], indirect=True)
async def test_values_run_out(store):
    store.put("a", b"1", 0.2)
    store.put("b", b"\x00\xff", 100)
    assert await store.get(["a", "b", "c"]) == [b"1", b"\x00\xff", None]


@pytest.mark.parametrize("store", ["valkey", "embedded"], indirect=True)
async def test_that_values_are_kept_is_known_at_the_next_take(store):
    one = plan(requests_per_day=10)
    await store.take(one, Demand())
    assert not store.may_have_values("alice")
    store.note_values("alice", 60)
    assert store.may_have_values("alice")
    assert store.may_have_values("a license without limits")


@dataclass(frozen=True)
class Take:
    """One step of a history: a take, perhaps revised, then perhaps settles, then time."""

    which: int
    demand: Demand
    revised: tuple[int, int] | None
    settles: list[tuple[int, ActualUse]]
    seconds: float


PLANS = st.builds(
    Limits,
    requests_per_minute=st.none() | st.integers(1, 70),
    tokens_per_minute=st.none() | st.integers(1, 10_000),
    requests_per_day=st.none() | st.integers(1, 8),
    concurrent_requests=st.none() | st.integers(1, 4),
    tokens_per_day=st.none() | st.integers(1, 20_000),
    tokens_per_month=st.none() | st.integers(1, 40_000),
    usd_per_day=st.none() | st.floats(0.01, 1),
    usd_per_month=st.none() | st.floats(0.01, 2),
)
SPENT = st.builds(ActualUse, st.integers(0, 9_000), st.integers(0, 10**9))
TAKES = st.builds(
    Take,
    st.integers(0, 2),
    st.builds(Demand, st.just(1), st.integers(0, 8_000), st.integers(0, 10**9), st.integers(0, 1)),
    st.none() | st.tuples(st.integers(0, 8_000), st.integers(0, 10**9)),
    st.lists(st.tuples(st.integers(0, 30), SPENT), max_size=2),
    st.sampled_from([0.0, 0.001, 0.9, 7.3, 61.0, 3_600.0, 50_000.0, -3_600.0, -100_000.0]),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PLANS, min_size=3, max_size=3), st.lists(TAKES, max_size=25))
async def test_all_bindings_agree_on_every_history(shared_valkey, limits, takes):
    clock = Clock()
    zones = ("UTC", "Pacific/Chatham", "America/New_York")
    # One license, whose limits an operator changes in between.
    plans = [
        Plan.of(License("x", limits=one, timezone=zone))
        for one, zone in zip(limits, zones, strict=True)
    ]
    memory = MemoryStore(clock, clock)
    # Slots that outlive every step: whether a holder is alive has its own test.
    valkey = ValkeyStore(shared_valkey.url, uuid4().hex, timeout_s=10, slot_ttl_s=1e8, clock=clock)
    with embedded_folder_on(shared_valkey) as folder:
        embedded = EmbeddedStore(folder, uuid4().hex, timeout_s=10, clock=clock, wall=clock)
        await walk([memory, valkey, embedded], plans, takes, clock)
        await embedded.close()
    await valkey.close()


async def walk(stores, plans, takes, clock):
    """Let all *stores* go through the same history, and compare what they grant."""
    held = []
    for take in takes:
        grants = [await store.take(plans[take.which], take.demand) for store in stores]
        ours = grants[0]
        for grant in grants:
            assert replace(grant, slot="", now=0) == replace(ours, slot="", now=0)
        if ours.refused is None:
            if take.revised:
                tokens, usd = take.revised
                instead = ours.demand._replace(tokens=tokens, usd=usd)
                grants = [
                    store.revise(grant, instead)
                    for store, grant in zip(stores, grants, strict=True)
                ]
            held.append(grants)
        for index, spent in take.settles:
            if held:
                settled = held.pop(index % len(held))
                for store, grant in zip(stores, settled, strict=True):
                    store.settle(grant, spent)
        clock.now += take.seconds
