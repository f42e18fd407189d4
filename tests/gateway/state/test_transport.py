"""Connections that are kept: what becomes of them between and during batches."""

import asyncio

import pytest

from gateway.state.batcher import Batcher
from gateway.state.client import Client
from gateway.state.store import NotDone, StoreDown
from tests.gateway.state.servers import distant


@pytest.fixture
async def client(valkey):
    client = Client(valkey.url, 1.0, {})
    yield client
    await client.close()


async def number(client: Client) -> int:
    """Return the server's number of the connection that is used next."""
    [found] = await client.send([("CLIENT", "ID")])
    return found


async def test_one_after_another_share_a_connection(client):
    assert await number(client) == await number(client)


async def test_who_sends_meanwhile_has_another(client):
    commands = [("CLIENT", "ID"), ("BLPOP", "nobody-fills-this", 0.1)]
    numbers = {first for first, _ in await asyncio.gather(*(client.send(commands) for _ in "abc"))}
    assert len(numbers) == 3
    assert await number(client) in numbers


async def test_connecting_goes_on_when_who_waited_for_it_leaves(tmp_path, valkey):
    """A server may be farther away than a batch may wait for it."""
    async with distant(tmp_path / "far", valkey.socket, 0.1):
        client = Client(f"unix://{tmp_path}/far", 5.0, {})
        hasty = Batcher(client.send, 0.15, connect=client.connect)
        with pytest.raises(NotDone):
            await hasty.ask(("ECHO", "1"))
        async with asyncio.timeout(5):
            while client.connect() is not None:
                await asyncio.sleep(0.01)
        assert await hasty.ask(("ECHO", "2")) == [b"2"]
        await client.close()


async def test_one_that_the_server_closed_is_not_used_and_nobody_notices(client, valkey):
    """Many servers close what is idle for some minutes."""
    client_number = await number(client)
    other = Client(valkey.url, 1.0, {})
    assert await other.send([("CLIENT", "KILL", "ID", client_number)]) == [1]
    await other.close()
    # Its end has to come here first.
    await asyncio.sleep(0.1)
    assert await number(client) != client_number


async def test_a_refusal_is_no_end(client):
    client_number = await number(client)
    replies = await client.send([("PING",), ("NOSUCH",), ("INCR", "a", "b"), ("PING",)])
    assert [isinstance(reply, Exception) for reply in replies] == [False, True, True, False]
    assert await number(client) == client_number


async def test_an_answer_that_nobody_waits_for_any_more_is_nobody_elses(client):
    client_number = await number(client)
    late = asyncio.create_task(client.send([("BLPOP", "nobody-fills-this", 5)]))
    await asyncio.sleep(0.05)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert await client.send([("ECHO", "mine")]) == [b"mine"]
    assert await number(client) != client_number


async def test_a_server_that_starts_anew_is_found_at_once(own_valkey):
    client = Client(own_valkey.url, 1.0, {})
    assert await number(client)
    own_valkey.kill()
    with pytest.raises(StoreDown):
        await number(client)
    own_valkey.start()
    assert await number(client)
    await client.close()
