"""The same content goes up once, whoever asks for it, and when they do."""

import asyncio
import os

import pytest

from gateway.errors import InvalidMedia, UpstreamAuth, UpstreamTimeout
from gateway.media.files import FilesClient
from gateway.upstream.credential import Credential
from tests.gateway.media.files_api import files_api

pytestmark = pytest.mark.usefixtures("impatient")
DATA = os.urandom(1_000_000)


@pytest.fixture
async def api():
    async with files_api() as running:
        yield running


@pytest.fixture
def client(api):
    return FilesClient(api.lent)


def store(client: FilesClient, project: str | None = None, mime: str = "video/mp4", data=DATA):
    return client.store(data, mime, "m", project)


async def waiters(client: FilesClient, number: int) -> None:
    """Wait until so many want the same."""
    while not any(pending.waiters == number for pending in client._pending.values()):
        await asyncio.sleep(0.01)


async def test_the_same_bytes_are_not_uploaded_again(api, client):
    first = await store(client)
    assert await store(client, data=bytes(DATA)) is first
    assert await store(client, mime="video/webm") is not first
    assert len(api.files) == 2


@pytest.mark.parametrize("keys", ["a", "abc"])
async def test_requests_at_once_share_one_upload(api, client, keys):
    api.use(*keys)
    stored = await asyncio.gather(*(store(client) for _ in range(5)))
    assert len(set(map(id, stored))) == len(api.files) == 1
    assert not client._pending


async def test_requests_at_once_share_what_went_wrong(api, client):
    api.outcome = "FAILED"
    api.answering.clear()
    tasks = [asyncio.create_task(store(client)) for _ in range(5)]
    await waiters(client, 5)
    api.answering.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in results} == {InvalidMedia}
    # Each may be told of another part.
    assert len(set(map(id, results))) == 5
    assert len(api.files) == 1
    api.outcome = "ACTIVE"
    await store(client)
    assert not client._pending


async def test_the_second_uploads_when_the_first_has_left(api, client):
    api.answering.clear()
    first = asyncio.create_task(store(client))
    while not api.steps:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(store(client))
    await waiters(client, 2)
    first.cancel()
    api.answering.set()
    assert (await second).blob.uri == f"{api.base_url}/v1beta/files/file-1"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_file_that_is_processed_for_too_long_is_waited_for_again():
    async with files_api(0.2) as api:
        client = FilesClient(api.lent)
        api.polls_until_active = 1_000_000
        first = await store(client)
        with pytest.raises(UpstreamTimeout) as caught:
            await client.wait_until_ready(first)
        assert caught.value.retry_after == 10
        again = await store(client)
        assert (again, again.is_ready, len(api.files)) == (first, False, 1)
        api.polls_until_active = 0
        await client.wait_until_ready(again)
        assert (await store(client)).is_ready
        assert len(api.files) == 1


async def test_a_file_that_could_not_be_processed_goes_up_anew(api, client):
    api.outcome, api.polls_until_active = "FAILED", 1
    with pytest.raises(InvalidMedia):
        await client.wait_until_ready(await store(client))
    await store(client)
    assert len(api.files) == 2


async def test_a_file_belongs_to_its_project(api, client):
    api.use("main", "other")
    first = await store(client, "other")
    assert first.project == "other"
    assert client.owner(first.blob.uri) == "other"
    # Without a binding the project that has the file already is preferred.
    assert await store(client) is first
    second = await store(client, "main")
    assert (second.project, len(api.files)) == ("main", 2)
    assert {file.key for file in api.files.values()} == {"key-main", "key-other"}


async def test_keys_of_one_project_share_its_files(api, client):
    api.use(one="mine", two="mine")
    first = await store(client)
    api.use(two="mine")
    assert await store(client) is first


async def test_the_file_of_a_key_that_is_gone_goes_up_with_another(api, client):
    await store(client)
    api.use("other")
    assert (await store(client)).project == "other"


async def test_the_file_of_a_dead_key_goes_up_with_another(api, client):
    api.use("main", "other")
    first = await store(client)
    api.upstream.pool.credentials[0].out_until = float("inf")
    second = await store(client)
    assert (first.project, second.project) == ("main", "other")


async def test_a_key_that_is_refused_gives_way_to_the_next(api, client):
    api.use("main", "other")
    api.refused_keys = {"key-main"}
    assert (await store(client)).project == "other"
    with pytest.raises(UpstreamAuth):
        await store(client, "main", data=DATA[1:])


async def test_another_key_of_the_same_name_has_none_of_the_files(api, client):
    for key in ("key-1", "key-2"):
        api.upstream.pool.replace([Credential("main", key)])
        await store(client)
    assert [file.key for file in api.files.values()] == ["key-1", "key-2"]
