"""What goes up is built from nothing; the model list comes in pages."""

import asyncio
from socket import AF_INET

import pytest

from gateway.errors import (
    RateLimited,
    UpstreamAuth,
    UpstreamEmpty,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamTimeout,
)
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.upstream.asking import MAX_ANSWER_BYTES
from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal, stream

CALL = UpstreamCall("m", {}, stream=True)
FROM_LOOK_UP = {"family": AF_INET, "proto": 0, "flags": 0}


async def ask(upstream, call):
    async with upstream.open(call, Outcome(), Notes()) as batches:
        return [one async for batch in batches for one in batch]


async def test_address_key_and_body_are_the_calls_own(gemini):
    async with ScriptedUpstream(answer(200, LAST), stream(LAST)) as scripted:
        upstream = await gemini(scripted.url + "/")
        for streaming in (False, True):
            await ask(upstream, UpstreamCall("m", {"contents": []}, stream=streaming))
        whole, streamed = scripted.seen
        assert whole.path == "/v1beta/models/m:generateContent"
        assert streamed.path == "/v1beta/models/m:streamGenerateContent?alt=sse"
        assert (whole.key, whole.body) == ("key-1", {"contents": []})


async def test_a_body_of_many_megabytes_arrives_whole(gemini):
    body = {"contents": [{"parts": [{"text": "x" * (3 << 20)}]}]}
    async with ScriptedUpstream(answer(200, LAST)) as scripted:
        await ask(await gemini(scripted.url), UpstreamCall("m", body, stream=False))
        assert scripted.seen[0].body == body


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
        (refusal(503, "UNAVAILABLE"), ["a"], UpstreamOverloaded),
    ],
)
async def test_a_model_list_that_no_key_gets_is_an_error(gemini, script, asked, error):
    async with ScriptedUpstream(script) as scripted:
        with pytest.raises(error):
            await (await gemini(scripted.url, keys=("a", "b"))).models()
        assert scripted.keys == asked


async def test_what_a_failed_list_has_shown_is_over_with_the_next_one(gemini):
    async with ScriptedUpstream(refusal(503, "UNAVAILABLE"), answer(200, {"models": []})) as up:
        upstream = await gemini(up.url)
        with pytest.raises(UpstreamOverloaded):
            await upstream.models()
        assert not upstream.breakers.all_closed
        await upstream.models()
        assert upstream.breakers.all_closed


async def test_an_upstream_that_is_not_there_is_an_error(gemini):
    with pytest.raises(UpstreamError):
        await (await gemini("http://127.0.0.1:9")).models()


async def test_looking_up_a_name_is_a_part_of_connecting(gemini):
    upstream = await gemini("http://gemini.example", connect_timeout_s=0.1, max_attempts=1)
    upstream._session.connector._resolver.resolve = lambda *_args, **_more: asyncio.sleep(5)
    with pytest.raises(UpstreamTimeout):
        await asyncio.wait_for(ask(upstream, CALL), 4)


async def test_a_name_that_has_moved_is_looked_up_anew(gemini):
    async with ScriptedUpstream(stream(LAST)) as scripted:
        port = int(scripted.url.rpartition(":")[2])
        address = {"hostname": "gemini.example", "port": port} | FROM_LOOK_UP
        # Nobody is at the first.
        found = [[address | {"host": f"127.0.0.{number}"}] for number in (9, 1)]
        upstream = await gemini(f"http://gemini.example:{port}")
        upstream._session.connector._resolver.resolve = lambda *_args, **_more: asyncio.sleep(
            0, found.pop(0)
        )
        assert await ask(upstream, CALL) == [LAST]


async def test_all_addresses_of_a_name_are_tried_in_the_time_of_one(gemini):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "0.0.0.0", 0) as server:
        port = server.sockets[0].getsockname()[1]
        addresses = [
            {"hostname": "gemini.example", "host": f"127.0.0.{number}", "port": port} | FROM_LOOK_UP
            for number in range(1, 9)
        ]
        url = f"https://gemini.example:{port}"
        upstream = await gemini(url, connect_timeout_s=0.4, max_attempts=1)
        upstream._session.connector._resolver.resolve = lambda *_args, **_more: asyncio.sleep(
            0, addresses
        )
        with pytest.raises(UpstreamTimeout):
            await asyncio.wait_for(ask(upstream, CALL), 2.5)


async def test_odd_model_names_cannot_fill_the_memory(gemini):
    upstream = await gemini("http://127.0.0.1:9")
    for number in range(3000):
        upstream._target(UpstreamCall(f"m{number}", {}, stream=True))
    assert len(upstream._targets) <= 1001


async def test_new_limits_hold_for_the_next_call(gemini):
    async with ScriptedUpstream(answer(200, LAST)) as scripted:
        upstream = await gemini("http://127.0.0.1:9")
        upstream.configure(type(upstream.settings)(base_url=scripted.url))
        await asyncio.wait_for(ask(upstream, UpstreamCall("m", {}, stream=False)), 5)
        assert len(scripted.seen) == 1
