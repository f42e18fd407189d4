"""A file that Gemini processes is looked at until it may be used."""

import asyncio

import pytest

from gateway.errors import InvalidMedia, NotFound, RateLimited, UpstreamTimeout
from tests.gateway.media.files_api import FilesApi, files_api

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
async def api():
    async with files_api() as running:
        yield running


async def upload(api: FilesApi) -> str:
    """Upload a file and wait until it may be used; give its address."""
    stored = await api.lent.upload(bytes(1000), "video/mp4", model="m", project=None)
    if not stored.is_ready:
        await api.lent.wait_until_ready(stored.uri, stored.project)
    return stored.uri


async def test_a_file_that_is_processed_is_waited_for(api):
    api.polls_until_active = 3
    await upload(api)
    assert api.files["file-0"].polls == 3


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_look_that_fails_does_not_send_the_file_again(api, status):
    api.polls_until_active = 2
    api.look_answers = [(status, "")]
    assert (await upload(api)).endswith("file-0")
    assert len(api.files) == 1


@pytest.mark.parametrize("status", [403, 404])
async def test_a_file_that_is_gone_while_it_is_processed_is_named(api, status):
    api.polls_until_active = 1
    api.look_answers = [(status, "")]
    with pytest.raises(NotFound, match="file-0"):
        await upload(api)


async def test_a_file_that_is_ready_at_once_is_not_looked_at(api):
    await upload(api)
    assert api.files["file-0"].polls == 0


async def test_the_reason_of_a_failure_is_told_at_any_look(api):
    api.outcome = "FAILED"
    for polls in (0, 3):
        api.polls_until_active = polls
        with pytest.raises(InvalidMedia, match=r"cannot process this file: No video\."):
            await upload(api)


async def test_a_key_that_stops_working_gives_way_to_another_one_of_its_project(api):
    api.use(one="mine", two="other", three="mine")
    api.polls_until_active = 1
    api.look_answers = [(401, "")]
    await upload(api)
    assert sorted(api.lookers) == ["key-one", "key-three"]


async def test_looks_that_fail_now_and_then_end_nothing(api):
    api.polls_until_active = 12
    api.look_answers = [(503, ""), (200, '{"state": "PROCESSING"}')] * 5
    await upload(api)
    assert api.files["file-0"].polls == 12


async def test_keys_that_cannot_upload_any_more_still_look(api):
    api.polls_until_active = 3
    stored = await api.lent.upload(bytes(1000), "video/mp4", model="m", project=None)
    api.start_status = 429
    with pytest.raises(RateLimited):
        await upload(api)
    assert api.upstream.pool.states()[0]["resting"]
    await api.lent.wait_until_ready(stored.uri, stored.project)


async def test_what_cannot_be_looked_at_is_not_waited_for(api):
    await api.lent.wait_until_ready("https://host/odd", "main")


async def test_whoever_leaves_ends_the_looks():
    async with files_api(0.2) as api:
        api.polls_until_active = 1_000_000
        with pytest.raises(UpstreamTimeout):
            await upload(api)
        # The last look may still be on its way.
        await asyncio.sleep(0.05)
        polls = api.files["file-0"].polls
        await asyncio.sleep(0.05)
        assert api.files["file-0"].polls == polls
