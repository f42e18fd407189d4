"""Small tables on a real Valkey: news travel once, and run out."""

import asyncio

import pytest


@pytest.fixture
def received():
    return []


@pytest.fixture
def publish(valkey, connect, store, received):
    """Publish as another process, to a table that *store* has joined."""
    store.table("rests", lambda *news: received.append(news))
    other = connect(valkey.url)
    send = other.table("rests", lambda *_: pytest.fail("heard its own news"))

    async def publish_and_pull(key, value, ttl_s):
        send(key, value, ttl_s)
        await other.pull()

    return publish_and_pull


async def test_news_are_heard_once(publish, store, received):
    await publish("main/gemini", b"busy", 60.0)
    await store.pull()
    await store.pull()
    assert received == [("main/gemini", b"busy", pytest.approx(60, abs=1))]


async def test_what_changes_is_news_again(publish, store, received):
    for value in (b"busy", b"spent now"):
        await publish("main/gemini", value, 60.0)
        await store.pull()
    assert [value for _, value, _ in received] == [b"busy", b"spent now"]


STRANGE = {
    b"no time": b"busy",
    b"no number": b"soon busy",
    b"nothing": b"",
    b"no text \xff": b"99999999999999 busy",
    b"no number of ours": b"1e400 busy",
}


async def test_what_another_version_wrote_is_passed_over_and_left(publish, store, received, valkey):
    key = store._key("table", "rests")
    valkey.command("HSET", key, *(part for entry in STRANGE.items() for part in entry))
    for value in (b"busy", b"spent"):
        await publish("main/gemini", value, 60.0)
        await store.pull()
    assert [value for _, value, _ in received] == [b"busy", b"spent"]
    await store.close()
    assert valkey.command("HGETALL", key).keys() > STRANGE.keys()


async def test_what_has_run_out_is_no_news_and_is_cleared_away(publish, store, received, valkey):
    await publish("main/gemini", b"busy", 0.01)
    await asyncio.sleep(0.02)
    await store.pull()
    await store.close()
    assert received == []
    assert valkey.command("HGETALL", store._key("table", "rests")) == {}
