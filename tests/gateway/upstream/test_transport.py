"""What goes up is built from nothing, and connecting has its limits."""

import asyncio
from socket import AF_INET

import pytest

from gateway.errors import UpstreamTimeout
from gateway.exchange import Notes, Outcome, UpstreamCall
from tests.faults.scripted import LAST, ScriptedUpstream, answer, stream

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
