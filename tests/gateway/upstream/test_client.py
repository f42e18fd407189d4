"""The model list comes in pages; a key that is refused makes place for the next one."""

import pytest

from gateway.errors import (
    RateLimited,
    UpstreamAuth,
    UpstreamEmpty,
    UpstreamError,
    UpstreamOverloaded,
)
from gateway.upstream.api_client import MAX_ANSWER_BYTES
from tests.faults.scripted import ScriptedUpstream, answer, refusal

pytestmark = pytest.mark.usefixtures("impatient")


async def test_the_model_list_is_read_page_by_page(gemini):
    pages = [
        answer(200, {"models": [{"name": "models/a"}], "nextPageToken": "t/1"}),
        answer(200, {"models": [{"name": "models/b"}]}),
    ]
    async with ScriptedUpstream(*pages) as scripted:
        upstream = await gemini(scripted.url)
        assert await upstream.models() == [{"name": "models/a"}, {"name": "models/b"}]
        assert scripted.seen[1].path == "/v1beta/models?pageSize=1000&pageToken=t/1"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (refusal(401, "UNAUTHENTICATED"), UpstreamAuth),
        (answer(200, b"<html></html>"), UpstreamEmpty),
        (answer(200, b""), UpstreamEmpty),
        (answer(200, b"[]"), UpstreamEmpty),
        (answer(200, {"models": None}), UpstreamEmpty),
        (answer(200, b" " * 2 * MAX_ANSWER_BYTES), UpstreamEmpty),
    ],
)
async def test_a_model_list_that_cannot_be_had_is_an_error(gemini, script, error):
    async with ScriptedUpstream(script) as scripted:
        with pytest.raises(error):
            await (await gemini(scripted.url)).models()


async def test_what_is_no_model_is_left_out_of_the_list(gemini):
    listed = [{"name": "models/a"}, {"displayName": "b"}, {"name": 5}, "c", None]
    pages = [answer(200, {"models": listed, "nextPageToken": "t"}), answer(200, {})]
    async with ScriptedUpstream(*pages) as scripted:
        assert await (await gemini(scripted.url)).models() == [{"name": "models/a"}]
        assert len(scripted.seen) == 2


def by_key(refused: str, script: list):
    return lambda seen, _number: script if seen.key in refused else answer(200, {"models": []})


BUSY_KEY = refusal(429, "RESOURCE_EXHAUSTED", "Please retry in 30s.")
NO_KEY = refusal(401, "UNAUTHENTICATED")


@pytest.mark.parametrize("script", [NO_KEY, BUSY_KEY])
async def test_the_model_list_is_asked_for_with_the_next_key_when_one_is_refused(gemini, script):
    async with ScriptedUpstream(by_key("ab", script)) as scripted:
        upstream = await gemini(scripted.url, keys=("a", "b", "c"))
        for _ in range(2):
            assert await upstream.models() == []
        assert scripted.keys == ["a", "b", "c", "c"]
        assert [one.leases for one in upstream.pool.credentials] == [0, 0, 0]


@pytest.mark.parametrize(
    ("script", "asked", "error"),
    [
        (NO_KEY, ["a", "b"], UpstreamAuth),
        (BUSY_KEY, ["a", "b"], RateLimited),
        (refusal(503, "UNAVAILABLE"), ["a", "a", "a"], UpstreamOverloaded),
    ],
)
async def test_a_model_list_that_no_key_gets_is_an_error(gemini, script, asked, error):
    async with ScriptedUpstream(script) as scripted:
        with pytest.raises(error):
            await (await gemini(scripted.url, keys=("a", "b"))).models()
        assert scripted.keys == asked


async def test_a_model_list_that_fails_once_is_asked_for_again(gemini):
    async with ScriptedUpstream(refusal(503, "UNAVAILABLE"), answer(200, {"models": []})) as up:
        assert await (await gemini(up.url)).models() == []


async def test_what_a_failed_list_has_shown_is_over_with_the_next_one(gemini):
    async with ScriptedUpstream(refusal(503, "UNAVAILABLE"), answer(200, {"models": []})) as up:
        upstream = await gemini(up.url, max_attempts=1)
        with pytest.raises(UpstreamOverloaded):
            await upstream.models()
        assert not upstream.breakers.all_closed
        await upstream.models()
        assert upstream.breakers.all_closed


async def test_an_upstream_that_is_not_there_is_an_error(gemini):
    with pytest.raises(UpstreamError):
        await (await gemini("http://127.0.0.1:9")).models()
