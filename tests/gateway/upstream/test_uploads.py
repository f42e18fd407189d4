"""A large file goes up in steps, goes on where it broke, and is used when it is ready."""

import asyncio
import hashlib
import json
import os
import tracemalloc
from base64 import b64encode

import pytest

from gateway.errors import (
    InvalidMedia,
    RateLimited,
    UpstreamAuth,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.media.data_url import Base64Window
from gateway.upstream import retry
from tests.gateway.media.files_api import FilesApi, files_api

pytestmark = pytest.mark.usefixtures("impatient")
MB = 1_000_000
DATA = os.urandom(20 * MB)
STEP = 8_388_608


@pytest.fixture
async def api():
    async with files_api() as running:
        yield running


async def upload(api: FilesApi, data=DATA, mime: str = "video/mp4"):
    stored = await api.lent.upload(data, mime, model="m", project=None)
    if not stored.is_ready:
        await api.lent.wait_until_ready(stored.uri, stored.project)
    return stored


def whole(api: FilesApi, name: str) -> bool:
    return api.files[name].digest.digest() == hashlib.sha256(DATA).digest()


async def test_a_file_goes_up_in_steps_of_eight_mebibytes(api):
    stored = await upload(api)
    assert (stored.project, stored.uri) == ("main", f"{api.base_url}/v1beta/files/file-0")
    assert api.steps == [STEP, STEP, len(DATA) - 2 * STEP]
    assert (api.files["file-0"].mime, whole(api, "file-0")) == ("video/mp4", True)


async def test_base64_is_decoded_step_by_step(api):
    window = Base64Window(b64encode(DATA).decode())
    tracemalloc.start()
    try:
        await upload(api, window)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert whole(api, "file-0")
    # One step as text and as bytes, the client's and the server's buffers; never the whole.
    assert peak < 40 * MB


@pytest.mark.parametrize("breaks", [1, 2])
async def test_a_broken_upload_goes_on_where_it_broke(api, breaks: int):
    api.break_steps = breaks
    await upload(api)
    assert list(api.files) == ["file-0"]
    assert whole(api, "file-0")


async def test_a_pooled_connection_that_died_is_no_failure_of_an_upload():
    async with files_api(max_attempts=1) as api:
        await upload(api, DATA[:MB])
        api.dead = set(api.connections)
        await upload(api, DATA[:MB])
        assert (list(api.files), len(api.connections)) == (["file-0", "file-1"], 2)
        # The connection of the announcement breaks in the first step.
        api.break_steps = 1
        await upload(api)
        assert (list(api.files)[2:], whole(api, "file-2")) == (["file-2"], True)
        assert api.upstream.breakers.all_closed
        assert not sum(api.upstream.budget._retries)
        api.break_steps = 2
        with pytest.raises(UpstreamError):
            await upload(api)


@pytest.mark.parametrize("repeats", [True, False])
async def test_an_upload_whose_last_answer_is_lost_is_whole(api, repeats):
    api.loses_last_answer, api.repeats_last_answer = True, repeats
    stored = await upload(api)
    # Where nobody says what it has become, it goes up once more.
    name = "file-0" if repeats else "file-1"
    assert stored.uri.endswith(name)
    assert whole(api, name)


@pytest.mark.parametrize("status", [400, 404, 410, 416])
async def test_an_upload_that_upstream_has_lost_begins_anew(api, status):
    api.step_answers = [(status, "Upload has already been terminated.")]
    stored = await upload(api)
    assert stored.uri.endswith("file-1")
    assert whole(api, "file-1")


async def test_a_service_that_fails_between_two_steps_does_not_lose_what_has_arrived(api):
    api.step_answers = [(503, "")]
    await upload(api)
    assert list(api.files) == ["file-0"]


def google(code: int, message: str) -> tuple[int, str]:
    return code, json.dumps({"error": {"code": code, "message": message, "status": "X"}})


FAULTS = [
    ({"break_steps": 1, "told_size": "9" * 5000}, UpstreamError, "answered 500"),
    ({"outcome": "FAILED"}, InvalidMedia, "cannot process this file: No video."),
    ({"polls_until_active": 1_000_000}, UpstreamTimeout, "still processing"),
    ({"break_steps": 9}, UpstreamError, "could not be reached"),
    ({"start_status": 403}, UpstreamAuth, "accepts no credential"),
    ({"start_status": 401}, UpstreamAuth, "The upstream accepts no credential"),
    ({"start_status": 429}, RateLimited, "is in use"),
    ({"start_status": 400}, InvalidMedia, "refuses"),
    ({"start_status": 413}, InvalidMedia, "refuses"),
    ({"start_status": 405}, UpstreamError, "status 405"),
    ({"start_status": 503}, UpstreamError, "answered 503"),
    ({"start_status": 302}, UpstreamError, "redirect"),
    ({"upload_base": "http://127.0.0.1:1"}, UpstreamError, "no address"),
    ({"upload_base": "//["}, UpstreamError, "no address"),
    ({"step_answers": [(404, "")] * 9}, UpstreamError, "lost an upload"),
    ({"step_answers": [(200, "<html>")] * 9}, UpstreamError, "nothing to relay"),
    (
        {"step_answers": [(200, ""), (200, "{}"), (200, ""), (200, '{"file": 1}')]},
        UpstreamError,
        "no file",
    ),
    (
        {"step_answers": [(200, ""), google(400, "Odd: http://127.0.0.1/?upload_id=secret")]},
        InvalidMedia,
        "this file: Odd: [redacted]",
    ),
    (
        {"step_answers": [(200, '{"file": {"uri": "u", "name": "files/../models"}}')] * 9},
        UpstreamError,
        "names no file",
    ),
]


@pytest.mark.parametrize(("faults", "error", "message"), FAULTS)
async def test_a_fault_is_told_without_keys_or_addresses(faults, error, message):
    async with files_api(0.5 if error is UpstreamTimeout else 30.0) as api:
        for name, value in faults.items():
            setattr(api, name, value)
        with pytest.raises(error) as caught:
            await upload(api, DATA[: 10 * MB])
    assert message in caught.value.message
    for secret in ("key-main", "secret", "127.0.0.1"):
        assert secret not in caught.value.message


async def test_nobody_waits_longer_than_for_one_upload():
    async with files_api(0.3) as api:
        api.step_answers = [(503, "")] * 99
        began = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamError):
            await upload(api)
        assert asyncio.get_running_loop().time() - began < 5


async def test_whoever_leaves_ends_the_upload(api):
    window = Leaving()
    window.task = task = asyncio.create_task(upload(api, window))
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        await api.gone.wait()
    assert api.upstream.breakers.all_closed
    assert api.steps == [STEP]


class Leaving:
    """Bytes whose client leaves in the midst of the second step."""

    task: asyncio.Task

    def __len__(self) -> int:
        return 4 * STEP

    def __getitem__(self, part: slice) -> bytes:
        if part.start > 1.5 * STEP:
            self.task.cancel()
        return bytes(part.stop - part.start)


async def test_a_probe_that_is_given_up_lets_the_next_one_through(api):
    name = "the Files API"
    for began in range(5):
        api.upstream.breakers.failure(name, began)
    api.upstream.breakers._circuits[name].open_until = 0
    api.answering.clear()
    task = asyncio.create_task(upload(api, DATA[:MB]))
    while not api.steps:
        await asyncio.sleep(0.01)
    with pytest.raises(UpstreamError):
        await upload(api, DATA[:MB])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    api.answering.set()
    await upload(api, DATA[:MB])
    assert api.upstream.breakers.all_closed


async def test_a_bad_key_in_the_middle_gives_way_to_another_one(api):
    api.use("main", "other")
    api.step_answers = [(200, ""), google(401, "no")]
    stored = await upload(api)
    assert (stored.project, whole(api, "file-1")) == ("other", True)
    assert api.upstream.pool.states()[0]["state"] == "out"


async def test_no_more_tries_are_made_than_a_call_makes(api):
    api.use(*"abcdef")
    api.start_status = 401
    with pytest.raises(UpstreamAuth):
        await upload(api)
    assert [one["state"] for one in api.upstream.pool.states()].count("out") == 3


async def test_a_spent_retry_budget_ends_the_tries(api):
    api.upstream.budget = retry.RetryBudget(api.upstream.loop.time, share=0, floor_per_s=0)
    api.step_answers = [(503, "")]
    with pytest.raises(UpstreamError):
        await upload(api)
    assert api.step_answers == []
    assert len(api.files) == 1
