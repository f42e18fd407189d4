"""What is asked beside calls is tried as they are, with the same pool, budget and circuits."""

import pytest

from gateway.errors import GatewayError, RateLimited, UpstreamError
from gateway.upstream.breaker import HOST
from gateway.upstream.credential import Credential
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.retrying import Retrying

pytestmark = pytest.mark.usefixtures("impatient")
NAME = "the work"
KEYS = ("k1", "k2", "k3", "k4")


@pytest.fixture
async def upstream(gemini):
    return await gemini("http://127.0.0.1:9", keys=KEYS)


class Work:
    """Fails so, one kind after the other, then succeeds."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = list(kinds)
        self.keys: list[str] = []

    async def __call__(self, credential: Credential) -> str:
        self.keys.append(credential.name)
        if not self.kinds:
            return "done"
        kind = self.kinds.pop(0)
        raise Failed(Fault(kind, UpstreamError(kind.name)))


async def run(upstream, work: Work, seconds: float = 10, **options) -> str:
    return await Retrying(upstream, NAME, upstream.loop.time() + seconds, **options).run(work)


@pytest.mark.parametrize(
    ("kinds", "keys"),
    [
        # What has been begun goes on with its key.
        ([Kind.NETWORK, Kind.OVERLOADED], ["c1", "c1", "c1"]),
        ([Kind.KEY_INVALID, Kind.BUSY], ["c1", "c2", "c3"]),
        ([Kind.KEY_DEAD, Kind.INTERNAL], ["c1", "c2", "c2"]),
        # Not to have it is no failure: all are asked.
        ([Kind.NOT_HERE] * 3, ["c1", "c2", "c3", "c4"]),
    ],
)
async def test_what_fails_is_tried_again_where_it_may_succeed(upstream, kinds, keys):
    work = Work(*kinds)
    assert await run(upstream, work) == "done"
    assert work.keys == keys
    assert [one.leases for one in upstream.pool.credentials] == [0] * 4


# The credentials that are asked while each attempt fails alike.
ASKED = {
    Kind.REQUEST: ["c1"],
    Kind.NOT_HERE: ["c1", "c2", "c3", "c4"],
    Kind.MODEL_UNKNOWN: ["c1"],
    Kind.KEY_INVALID: ["c1", "c2", "c3"],
    Kind.KEY_DEAD: ["c1", "c2", "c3"],
    Kind.REGION: ["c1", "c2"],
    Kind.BUSY: ["c1", "c2", "c3"],
    Kind.SPENT: ["c1", "c2", "c3"],
    Kind.NOT_IN_PLAN: ["c1", "c2", "c3"],
    Kind.SHARED: ["c1", "c2", "c3"],
    Kind.INTERNAL: ["c1"] * 2,
    Kind.OVERLOADED: ["c1"] * 3,
    Kind.DEADLINE: ["c1"] * 2,
    Kind.NETWORK: ["c1"] * 3,
    Kind.CRAMPED: ["c1"] * 3,
    Kind.STUCK: ["c1"] * 2,
    Kind.GARBAGE: ["c1"] * 2,
    Kind.REDIRECT: ["c1"],
    Kind.WEAK: ["c1"] * 2,
}
# What does not burden a service that is failing.
FREE = {
    *(Kind.NOT_HERE, Kind.KEY_INVALID, Kind.KEY_DEAD, Kind.REGION, Kind.BUSY, Kind.SPENT),
    *(Kind.NOT_IN_PLAN, Kind.CRAMPED),
}


@pytest.mark.parametrize("kind", Kind)
async def test_what_goes_on_failing_is_told(upstream, kind):
    work = Work(*[kind] * 9)
    with pytest.raises(GatewayError) as caught:
        await run(upstream, work)
    assert caught.value.message == kind.name
    assert work.keys == ASKED[kind]


@pytest.mark.parametrize("kind", Kind)
async def test_once_the_budget_is_spent_only_what_burdens_nobody_is_tried_again(upstream, kind):
    upstream.budget.request()
    while upstream.budget.take():
        pass
    work = Work(*[kind] * 9)
    with pytest.raises(GatewayError):
        await run(upstream, work)
    assert work.keys == (ASKED[kind] if kind in FREE else ["c1"])


async def test_all_work_adds_to_the_budget_of_retries(upstream):
    for _ in range(50):
        await run(upstream, Work())
    assert sum(upstream.budget.take() for _ in range(100)) == 30 + 50 // 5


async def test_a_key_and_its_model_fare_as_with_calls(upstream):
    await run(upstream, Work(Kind.BUSY, Kind.KEY_DEAD))
    first, second, *_ = upstream.pool.states()
    assert list(first["resting"]) == [NAME]
    assert (second["state"], second["reason"]) == ("out", "key_dead")
    assert upstream.pool.serves(upstream.pool.credentials[0], "m")


async def test_five_failures_in_a_row_are_the_last_for_a_while(upstream):
    for _ in range(2):
        with pytest.raises(GatewayError):
            await run(upstream, Work(*[Kind.OVERLOADED] * 9))
    work = Work()
    with pytest.raises(GatewayError) as caught:
        await run(upstream, work)
    assert caught.value.retry_after
    assert work.keys == []
    assert upstream.breakers.wait("m") == upstream.breakers.wait(HOST) == 0


async def test_only_the_project_that_is_named_is_asked(upstream):
    project = upstream.pool.credentials[2].scope
    work = Work(Kind.KEY_INVALID)
    with pytest.raises(GatewayError):
        await run(upstream, work, project=project)
    assert work.keys == ["c3"]


async def test_who_is_shunned_is_asked_last(upstream):
    work = Work(*[Kind.NOT_HERE] * 9)
    with pytest.raises(GatewayError):
        await run(upstream, work, shunned={"c1", "c3"})
    assert work.keys == ["c2", "c4", "c1", "c3"]


async def test_a_project_is_asked_once(upstream):
    upstream.pool.replace([Credential(f"c{n}", f"k{n}", project=f"p{n // 2}") for n in range(1, 5)])
    work = Work(*[Kind.NOT_HERE] * 9)
    with pytest.raises(GatewayError):
        await run(upstream, work)
    assert work.keys == ["c1", "c2", "c4"]


async def test_no_try_begins_after_the_deadline(upstream):
    work = Work(*[Kind.OVERLOADED] * 9)
    with pytest.raises(GatewayError):
        await run(upstream, work, seconds=0)
    assert len(work.keys) == 1


async def test_no_key_at_all_is_told_and_leaves_no_probe(upstream):
    for credential in upstream.pool.credentials:
        upstream.pool.report(credential, NAME, Fault(Kind.BUSY, RateLimited("x"), 7.0))
    for began in range(5):
        upstream.breakers.failure(NAME, began)
    upstream.breakers._circuits[NAME].open_until = 0
    for _ in range(2):
        with pytest.raises(GatewayError) as caught:
            await run(upstream, Work())
        assert isinstance(caught.value, RateLimited)
