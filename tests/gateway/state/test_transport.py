"""Connections that are kept: what becomes of them between and during batches."""

import asyncio

import pytest

from gateway.state.client import Client
from gateway.state.store import StoreDown


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
    first, *others = await asyncio.gather(*(number(client) for _ in range(3)))
    assert len({first, *others}) == 3
    assert await number(client) in {first, *others}


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
