"""What a request was made of is free when it ends: nothing waits for the garbage collector."""

import asyncio
import gc
from base64 import b64encode
from contextlib import contextmanager

import pytest

from tests.faults.scripted import (
    CLOSE,
    LAST,
    SSE,
    STALL,
    ScriptedUpstream,
    answer,
    chunk,
    data,
    event,
    refusal,
    stream,
)
from tests.gateway.media.samples import sample
from tests.running import LICENSE, settings_for

SCRIPTS = {
    "whole": answer(200, LAST),
    "stream": stream(event("Hel"), event("lo "), LAST),
    "refused": refusal(400, "INVALID_ARGUMENT"),
    "busy": refusal(429, "RESOURCE_EXHAUSTED"),
    "broken": [SSE, chunk(data(event("Hel"))), CLOSE],
    "failing in mid-stream": stream(event("Hel"), {"error": {"code": 503}}),
}
STREAMS = ("stream", "broken", "failing in mid-stream")


@pytest.fixture(autouse=True)
def _nothing_older() -> None:
    """Keep collections short: what was there before a test is none of its garbage."""
    gc.collect()
    gc.freeze()


@contextmanager
def collecting():
    """Yield a list that holds, at the end, what nothing but the collector would have freed."""
    found: list[object] = []
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def ours(found):
    """Return the names of the gateway's own types in *found*."""
    return {type(one).__qualname__ for one in found if type(one).__module__.startswith("gateway")}


@pytest.mark.parametrize("kind", SCRIPTS)
async def test_nothing_of_the_gateways_own_goes_round_in_circles(running, kind):
    async with (
        ScriptedUpstream(SCRIPTS[kind]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        ask = gateway.stream if kind in STREAMS else gateway.whole
        await ask()
        with collecting() as found:
            for _ in range(5):
                await ask()
            await gateway.tick()
    assert ours(found) == set()


BROKEN_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
WRONG = {
    "a wrong field": {"messages": [{"role": "nobody", "content": "hi"}]},
    "a broken image": {"messages": [{"role": "user", "content": [BROKEN_IMAGE]}]},
    "a model that is not covered": {"model": "gemini-99"},
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_nor_does_what_is_refused_here(running, wrong):
    licenses = [{"id": "tester", "key": LICENSE, "models": ["gemini-2.5-*"]}]
    async with running(settings_for("http://127.0.0.1:9", licenses=licenses)) as gateway:
        await gateway.whole(**WRONG[wrong])
        with collecting() as found:
            for _ in range(5):
                assert (await gateway.whole(**WRONG[wrong]))[0] in {400, 403}
            await gateway.tick()
    assert ours(found) == set()


LARGE = {
    "type": "image_url",
    "image_url": {"url": b64encode(sample("png") + bytes(9_000)).decode()},
}


@pytest.mark.parametrize("is_fetched", [False, True])
@pytest.mark.usefixtures("impatient")
async def test_nor_do_media_that_are_not_fetched_or_uploaded(running, is_fetched):
    async with ScriptedUpstream(refusal(400, "INVALID_ARGUMENT")) as upstream:
        media = {
            "upload_above_bytes": 5_000,
            "allow_hosts": [upstream.url.removeprefix("http://")],
        }
        part = {"type": "image_url", "image_url": {"url": upstream.url}} if is_fetched else LARGE
        body = {"messages": [{"role": "user", "content": [part]}]}
        async with running(settings_for(upstream.url, media=media)) as gateway:
            await gateway.whole(**body)
            with collecting() as found:
                for _ in range(5):
                    assert (await gateway.whole(**body))[0] == 400
                await gateway.tick()
    assert ours(found) == set()


@pytest.mark.parametrize("parts", [[], [LARGE]])
@pytest.mark.usefixtures("impatient")
async def test_nor_does_what_cannot_be_sent(running, parts):
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, *parts]}]}
    settings = settings_for("http://127.0.0.1:9", media={"upload_above_bytes": 5_000})
    async with running(settings) as gateway:
        with collecting() as found:
            assert (await gateway.whole(**body))[0] == 502
            await gateway.tick()
    assert ours(found) == set()


@pytest.mark.parametrize("kind", ["fetching", "uploading", "several calls"])
async def test_nor_does_what_a_client_left(running, kind):
    """A request of each kind, whose client leaves once it waits for the other side."""
    async with ScriptedUpstream([STALL]) as upstream:
        host = upstream.url.removeprefix("http://")
        media = {"upload_above_bytes": 5_000, "allow_hosts": [host]}
        async with running(settings_for(upstream.url, media=media)) as gateway:
            fetched = {"type": "image_url", "image_url": {"url": upstream.url}}
            content = [fetched if kind == "fetching" else LARGE]
            path, body = "chat/completions", {"messages": [{"role": "user", "content": content}]}
            if kind == "several calls":
                path, body = "embeddings", {"input": ["text"] * 250}

            async def ask() -> None:
                await gateway.session.post(
                    f"{gateway.url}/v1/{path}",
                    json={"model": "gemini-2.5-flash", **body},
                    headers={"Authorization": LICENSE},
                )

            with collecting() as found:
                asking = asyncio.create_task(ask())
                while not upstream.seen:
                    await gateway.tick()
                asking.cancel()
                await asyncio.wait((asking,))
                await upstream.seen[0].gone.wait()
                await gateway.tick()
    assert ours(found) == set()


async def test_nor_do_several_calls_of_which_one_fails(running):
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT")) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):

        async def ask() -> int:
            url, headers = f"{gateway.url}/v1/embeddings", {"Authorization": LICENSE}
            body = {"model": "gemini-embedding-001", "input": ["text"] * 250}
            async with gateway.session.post(url, json=body, headers=headers) as response:
                await response.read()
                return response.status

        await ask()
        with collecting() as found:
            for _ in range(5):
                assert await ask() == 400
            await gateway.tick()
    assert ours(found) == set()
