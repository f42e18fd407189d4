"""What becomes of a state server's faults and refusals."""

import asyncio
import struct

import pytest

from gateway.state.client import Client
from gateway.state.store import StoreDown


class Transport:
    """A server that connects after a turn of the loop, and answers what it was given."""

    def __init__(self, *replies) -> None:
        self.is_connected = False
        self.did = []
        self.fault: Exception | None = None
        self.hangs = False
        self._replies = list(replies)

    async def connect(self) -> None:
        self.did.append("connect")
        await asyncio.sleep(60 if self.hangs else 0)
        if self.fault is not None:
            raise self.fault
        self.is_connected = True

    async def find_servers_anew(self) -> None:
        self.did.append("find")

    async def send(self, commands):
        self.did.append("send")
        if self.fault is not None:
            raise self.fault
        return list(commands)

    async def ask_each(self, _command):
        return self._replies


@pytest.fixture
async def client_of():
    """Return a maker of clients that have a given transport; all are closed at the end."""
    clients = []

    def make(transport: Transport, timeout_s: float = 60.0) -> Client:
        client = Client("redis://127.0.0.1:9", timeout_s, {})
        client._transport = transport
        clients.append(client)
        return client

    yield make
    async with asyncio.timeout(5):
        for client in clients:
            await client.close()


async def test_nobody_at_the_address_is_a_server_that_is_down(tmp_path):
    client = Client(f"unix://{tmp_path}/nobody.sock", 1.0, {})
    with pytest.raises(StoreDown):
        await client.send([("PING",)])
    with pytest.raises(StoreDown):
        await client.info("memory")
    await client.close()


async def test_refusals_are_among_the_replies(valkey):
    client = Client(valkey.url, 1.0, {})
    pong, refusal = await client.send([("PING",), ("NONSENSE",)])
    assert pong in {True, b"PONG"}
    assert isinstance(refusal, Exception)
    await client.close()


async def test_a_server_tells_the_section_that_it_is_asked_for(valkey):
    client = Client(valkey.url, 1.0, {})
    (section,) = await client.info("memory")
    assert "used_memory" in section
    assert "redis_version" not in section
    await client.close()


async def test_who_does_not_tell_a_section_is_left_out(client_of):
    client = client_of(Transport(PermissionError(), {"maxmemory": 1}))
    assert await client.info("memory") == [{"maxmemory": 1}]


async def test_batches_that_wait_for_a_connection_share_one(client_of):
    client = client_of(transport := Transport())
    await asyncio.gather(*(client.send([("PING",)]) for _ in range(3)))
    assert transport.did == ["connect", "send", "send", "send"]


async def test_connecting_has_a_limit_and_the_next_one_tries_again(client_of):
    client = client_of(transport := Transport(), timeout_s=0.01)
    transport.hangs = True
    with pytest.raises(StoreDown):
        await asyncio.wait_for(client.send([("PING",)]), 5)
    transport.hangs = False
    assert await client.send([("PING",)]) == [("PING",)]
    assert transport.did == ["connect", "find", "connect", "send"]


async def test_who_leaves_while_connecting_does_not_end_it(client_of):
    client = client_of(transport := Transport())
    leaving = asyncio.create_task(client.send([("PING",)]))
    await asyncio.sleep(0)
    leaving.cancel()
    await client.send([("PING",)])
    assert transport.did == ["connect", "send"]


async def test_a_client_that_still_connects_is_closed_at_once(client_of):
    client = client_of(transport := Transport())
    transport.hangs = True
    asking = asyncio.create_task(client.send([("PING",)]))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await client.close()
        await asyncio.wait({asking})


async def test_a_server_that_was_lost_is_looked_for_anew(client_of):
    client = client_of(transport := Transport())
    await client.send([("PING",)])
    transport.fault = ConnectionResetError()
    for _ in range(2):
        with pytest.raises(StoreDown, match="ConnectionResetError"):
            await client.send([("PING",)])
    transport.fault = None
    await client.send([("PING",)])
    assert transport.did[2:] == ["send", "find", "connect", "find", "connect", "send"]


@pytest.mark.parametrize(
    "kind", [TypeError, ValueError, AttributeError, KeyError, IndexError, struct.error]
)
async def test_replies_that_do_not_fit_are_those_of_no_state_server(client_of, kind):
    client = client_of(transport := Transport())
    await client.send([("PING",)])
    with pytest.raises(StoreDown, match="not those of a state server"), client.checking_replies():
        raise kind
    await client.send([("PING",)])
    assert transport.did[2:] == ["find", "connect", "send"]


async def test_other_faults_in_reading_replies_are_not_the_servers(client_of):
    client = client_of(Transport())
    with pytest.raises(RecursionError), client.checking_replies():
        raise RecursionError
