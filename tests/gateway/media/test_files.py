"""Large media are uploaded once, in steps, and used when they are ready."""

import asyncio
import hashlib
import os
import tracemalloc
from base64 import b64encode
from contextlib import aclosing

import pytest

from gateway.errors import (
    InvalidMedia,
    RateLimited,
    Unavailable,
    UpstreamAuth,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.media import files
from gateway.media.data_url import Base64Window
from gateway.media.files import FilesClient, Shelf
from tests.gateway.media.files_api import files_api

MB = 1_000_000
DATA = os.urandom(20 * MB)


@pytest.fixture
async def api():
    async with files_api() as running:
        yield running


@pytest.fixture
async def client(api):
    async with aclosing(FilesClient(api, 20)) as made:
        made.aclose = made.close
        yield made


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch):
    monkeypatch.setattr(files, "_POLL_S", (0.01,))


async def test_a_file_goes_up_in_steps_of_eight_mebibytes(api, client):
    stored = await client.store(DATA, "video/mp4", None)
    assert (stored.credential, stored.blob.mime) == ("main", "video/mp4")
    assert stored.blob.uri == f"{api.base_url}/v1beta/files/file-0"
    assert api.steps == [8_388_608, 8_388_608, len(DATA) - 2 * 8_388_608]
    assert api.files["file-0"].digest.digest() == hashlib.sha256(DATA).digest()


async def test_base64_is_decoded_step_by_step(api, client):
    window = Base64Window(b64encode(DATA).decode())
    tracemalloc.start()
    try:
        await client.store(window, "video/mp4", None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert api.files["file-0"].digest.digest() == hashlib.sha256(DATA).digest()
    # One step as text and as bytes, the client's and the server's buffers; never the whole.
    assert peak < 40 * MB


async def test_the_same_bytes_are_not_uploaded_again(api, client):
    first = await client.store(DATA[:MB], "video/mp4", None)
    assert await client.store(bytes(DATA[:MB]), "video/mp4", None) is first
    assert await client.store(DATA[:MB], "video/webm", None) is not first
    assert len(api.files) == 2


async def test_two_requests_at_once_share_one_upload(api, client):
    stored = await asyncio.gather(*(client.store(DATA[:MB], "video/mp4", None) for _ in range(5)))
    assert len(set(map(id, stored))) == len(api.files) == 1
    assert not client._uploading


async def test_the_second_uploads_when_the_first_has_left(api, client):
    api.polls_until_active = 1_000_000
    first = asyncio.create_task(client.store(DATA[:MB], "video/mp4", None))
    while not api.steps:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(client.store(DATA[:MB], "video/mp4", None))
    while not any(lock._waiters for lock in client._uploading.values()):
        await asyncio.sleep(0.01)
    first.cancel()
    api.polls_until_active = 0
    assert (await second).blob.uri == f"{api.base_url}/v1beta/files/file-1"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_file_belongs_to_its_credential(api, client):
    api.keys["other"] = "key-other"
    first = await client.store(DATA[:MB], "video/mp4", "other")
    assert first.credential == "other"
    assert client.owner(first.blob.uri) == "other"
    # Without a binding the credential that has the file already is preferred.
    assert await client.store(DATA[:MB], "video/mp4", None) is first
    second = await client.store(DATA[:MB], "video/mp4", "main")
    assert (second.credential, len(api.files)) == ("main", 2)
    assert {file.key for file in api.files.values()} == {"key-main", "key-other"}


async def test_a_file_of_a_dead_credential_is_uploaded_with_another(api, client):
    first = await client.store(DATA[:MB], "video/mp4", None)
    api.keys = {"other": "key-other"}
    second = await client.store(DATA[:MB], "video/mp4", first.credential)
    assert second.credential == "other"


async def test_a_credential_that_is_refused_gives_way_to_the_next(api, client):
    api.keys["other"] = "key-other"
    api.refused_keys = {"key-main"}
    stored = await client.store(DATA[:MB], "video/mp4", None)
    assert stored.credential == "other"


async def test_a_file_that_is_processed_is_waited_for(api, client):
    api.polls_until_active = 3
    await client.store(DATA[:MB], "video/mp4", None)
    assert api.files["file-0"].polls == 3


@pytest.mark.parametrize("breaks", [1, 2])
async def test_a_broken_upload_goes_on_where_it_broke(api, client, breaks: int):
    api.break_steps = breaks
    await client.store(DATA, "video/mp4", None)
    assert api.files["file-0"].digest.digest() == hashlib.sha256(DATA).digest()


FAULTS = [
    ({"outcome": "FAILED"}, InvalidMedia, "cannot process"),
    ({"polls_until_active": 1_000_000}, UpstreamTimeout, "too long"),
    ({"break_steps": 9}, UpstreamError, "cannot be reached"),
    ({"start_status": 403, "keys": dict.fromkeys("abcd", "key-main")}, UpstreamAuth, "accepts"),
    ({"start_status": 429, "keys": dict.fromkeys("abc", "key-main")}, RateLimited, "no more"),
    ({"start_status": 401}, Unavailable, "No credential"),
    ({"start_status": 400}, InvalidMedia, "refuses"),
    ({"start_status": 503}, UpstreamError, "status 503"),
    ({"start_status": 302}, UpstreamError, "status 302"),
    ({"upload_base": "http://127.0.0.1:1"}, UpstreamError, "no address"),
    ({"keys": {}}, Unavailable, "No credential"),
]


@pytest.mark.parametrize(("faults", "error", "message"), FAULTS)
async def test_a_fault_is_told_without_keys_or_addresses(api, faults, error, message):
    for name, value in faults.items():
        setattr(api, name, value)
    client = FilesClient(api, 0.5 if error is UpstreamTimeout else 30)
    try:
        with pytest.raises(error) as caught:
            await client.store(DATA[: 10 * MB], "video/mp4", None)
    finally:
        await client.close()
    assert message in caught.value.message
    for secret in ("key-main", "secret", "127.0.0.1"):
        assert secret not in caught.value.message


def test_what_is_shelved_is_forgotten_after_47_hours_and_the_oldest_first(monkeypatch):
    now = 0.0
    shelf = Shelf(lambda: now)
    shelf.add((b"1", "video/mp4"), "main", "uri 1")
    now = 47 * 3600 - 1
    assert shelf.find((b"1", "video/mp4"), None) is not None
    now += 2
    assert shelf.find((b"1", "video/mp4"), None) is None
    monkeypatch.setattr(files, "_MAX_KNOWN", 2)
    for n in range(2, 5):
        shelf.add((b"%d" % n, "video/mp4"), "main", f"uri {n}")
    assert shelf.owner("uri 4") == "main"
    assert shelf.owner("uri 2") is None


def test_what_one_process_finds_gone_all_forget():
    one, two = Shelf(), Shelf()
    one.share(two.hear)
    content, uri = (b"\x01" * 32, "video/mp4"), "https://host/v1beta/files/a"
    one.add(content, "main", uri)
    assert two.find(content, None) is not None
    assert not one.forget("https://host/v1beta/files/b")
    assert one.forget(uri)
    for shelf in (one, two):
        assert shelf.find(content, None) is None
        assert shelf.owner(uri) is None
    one.add(content, "main", "https://host/v1beta/files/c")
    assert two.find(content, None).blob.uri == "https://host/v1beta/files/c"


def test_what_one_process_uploaded_another_one_uses_again():
    now = 0.0
    one, two = Shelf(lambda: now), Shelf(lambda: now)
    one.share(two.hear)
    content = (b"\x01" * 32, "video/mp4")
    one.add(content, "main", "https://host/v1beta/files/a")
    found = two.find(content, None)
    assert found is not None
    assert (found.blob.uri, found.credential) == ("https://host/v1beta/files/a", "main")
    assert two.owner("https://host/v1beta/files/a") == "main"
    now = 47 * 3600.0
    assert two.find(content, None) is None
