"""The Files API shares the pool with the calls, and what has an owner stays with it."""

import pytest

from gateway.errors import NotFound, QuotaSpent, RateLimited, UpstreamAuth, UpstreamOverloaded
from gateway.simulator import Simulator
from gateway.simulator.faults import Fault as Broken
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.files import FilesApi

OURS = "cachedContents/ours"
KEYS = ("key-1", "key-2", "key-3", "key-4", "key-5")
DATA = b"\0" * 1000


@pytest.fixture
async def simulator():
    async with Simulator(caches={OURS: "key-4"}) as simulator:
        yield simulator


@pytest.fixture
async def files_api(simulator, gemini):
    upstream = await gemini(simulator.url, keys=KEYS)
    return FilesApi(upstream, 10), upstream


def marks(upstream, *names: str) -> list[str]:
    return [one.scope for one in upstream.pool.credentials if one.name in names]


def out(upstream, *names: str, kind: Kind = Kind.KEY_DEAD, model: str = "") -> None:
    for one in upstream.pool.credentials:
        if one.name in names:
            upstream.pool.report(one, model, Fault(kind, UpstreamAuth("x"), 50.0))


async def upload(files: FilesApi, project: str | None = None, model: str = "m"):
    return await files.upload(DATA, "image/png", model=model, project=project)


async def test_the_project_that_is_named_gets_the_file(files_api, simulator):
    files, upstream = files_api
    [mine] = marks(upstream, "c2")
    for _ in range(3):
        assert (await upload(files, mine)).project == mine
    assert {one.key for one in simulator.received if "upload_id" not in one.query} == {"key-2"}
    # An upload is no load on the quotas of a model.
    assert [one.leases for one in upstream.pool.credentials] == [0] * 5


async def test_another_project_never_stands_in_for_the_one_that_is_named(files_api):
    files, upstream = files_api
    [mine] = marks(upstream, "c2")
    out(upstream, "c2")
    with pytest.raises(UpstreamAuth):
        await upload(files, mine)
    assert (await upload(files)).project != mine


async def test_keys_that_rest_for_the_model_upload_only_where_there_is_no_other(files_api):
    files, upstream = files_api
    out(upstream, "c1", "c2", "c3", "c4", kind=Kind.BUSY, model="m")
    assert [(await upload(files)).project] == marks(upstream, "c5")
    out(upstream, "c5", kind=Kind.BUSY, model="m")
    # A fallback may serve.
    assert (await upload(files)).project


async def test_all_rest_and_are_told_for_how_long(files_api, simulator):
    files, _ = files_api
    simulator.keys |= dict.fromkeys(KEYS, "minute")
    for _ in KEYS:
        with pytest.raises(RateLimited) as caught:
            await upload(files)
    assert 30 < caught.value.retry_after < 40
    simulator.keys |= dict.fromkeys(KEYS, "good")
    # They do serve models meanwhile.
    assert files_api[1].pool.lease("m").name


async def test_a_spent_day_is_told_as_one(files_api, simulator):
    files, _ = files_api
    simulator.keys |= dict.fromkeys(KEYS, "day")
    for _ in range(2):
        with pytest.raises(QuotaSpent):
            await upload(files)


async def test_a_file_is_chosen_where_the_model_can_be_served(files_api):
    files, upstream = files_api
    stored = marks(upstream, "c1", "c2")
    assert files.choose(stored, "m") == stored[0]
    out(upstream, "c1", kind=Kind.BUSY, model="m")
    assert files.choose(stored, "m") == stored[1]
    out(upstream, "c2", kind=Kind.BUSY, model="m")
    assert files.choose(stored, "m") is None
    out(upstream, "c3", "c4", "c5", kind=Kind.BUSY, model="m")
    # To upload would help nobody.
    assert files.choose(stored, "m") == stored[0]
    assert files.choose(["of a key that is gone"], "m") is None


async def test_it_is_looked_for_once(files_api, simulator):
    files, upstream = files_api
    [owner] = marks(upstream, "c4")
    for _ in range(2):
        assert await files.find(OURS) == owner
    assert [one.key for one in simulator.received] == ["key-1", "key-2", "key-3", "key-4"]
    assert files.owner(OURS) == owner


async def test_keys_that_cannot_upload_any_more_still_look(files_api, simulator):
    files, upstream = files_api
    [owner] = marks(upstream, "c4")
    simulator.script(Broken(status=429), times=None)
    with pytest.raises(RateLimited):
        await upload(files, owner)
    simulator.reset()
    simulator.caches[OURS] = "key-4"
    assert await files.find(OURS) == owner


async def test_what_a_key_had_that_is_gone_is_looked_for_anew(files_api, simulator):
    files, upstream = files_api
    await files.find(OURS)
    [members] = [[one for one in upstream.pool.credentials if one.name != "c4"]]
    upstream.pool.replace(members)
    assert files.owner(OURS) is None
    simulator.caches[OURS] = "key-5"
    assert [await files.find(OURS)] == marks(upstream, "c5")


@pytest.mark.parametrize(
    "name", ["cachedContents/none", "files/none", "http://x/v1beta/files/none"]
)
async def test_what_nobody_has_is_not_found(files_api, simulator, name):
    files, _ = files_api
    with pytest.raises(NotFound):
        await files.find(name)
    assert sorted(one.key for one in simulator.received) == list(KEYS)


@pytest.mark.parametrize(
    "name",
    ["cachedContents/", "cachedContents/a/b", "cachedContents/a?key=b", "models/a", "", "\n"],
)
async def test_what_is_no_name_is_not_asked_for(files_api, simulator, name):
    files, _ = files_api
    assert await files.find(name) is None
    assert not simulator.received


async def test_nobody_is_asked_about_the_only_project(simulator, gemini):
    upstream = await gemini(simulator.url)
    files = FilesApi(upstream, 10)
    assert [await files.find("cachedContents/none")] == marks(upstream, "c1")
    assert not simulator.received


async def test_keys_that_are_bad_are_so_for_a_look_up_too(files_api, simulator):
    files, upstream = files_api
    simulator.keys |= {"key-1": "bad", "key-2": "suspended"}
    assert [await files.find(OURS)] == marks(upstream, "c4")
    assert upstream.usable() == 3


async def test_a_look_up_that_fails_is_no_not_found(files_api, simulator):
    files, _ = files_api
    simulator.script(Broken(status=503), times=None)
    with pytest.raises(UpstreamOverloaded):
        await files.find(OURS)
    assert len(simulator.received) == 3
