"""A service behind one address, whose server is demoted to a replica and lives on."""

import asyncio
from contextlib import suppress

import pytest

from gateway.exchange import License, Limits
from gateway.state.rules import Demand, Plan
from gateway.state.store import StoreDown
from gateway.state.valkey import ValkeyStore
from tests.gateway.state.servers import Server, eventually


class Address:
    """An address that leads to the server on *port*; connections stay where they were made."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        for source, target in ((reader, back), (there, writer)):
            self._tasks.add(asyncio.create_task(_pass_on(source, target)))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                target.write(data)
    finally:
        target.close()


@pytest.fixture
def pair(tmp_path):
    master = Server(tmp_path / "master", "--save", "")
    replica = Server(tmp_path / "replica", "--save", "", "--replicaof", f"127.0.0.1 {master.port}")
    yield master, replica
    master.kill()
    replica.kill()


async def test_a_server_that_became_a_replica_is_left(pair):
    master, replica = pair
    plan = Plan.of(License("alice", limits=Limits(requests_per_day=9)))
    address = Address(master.port)

    async def copied():
        return replica.command("DBSIZE") == 1

    async def is_admitted():
        try:
            await store.take(plan, Demand())
        except StoreDown:
            return False
        return True

    async with address as url:
        store = ValkeyStore(url, "test", timeout_s=2)
        assert await is_admitted()
        await eventually(copied)
        replica.command("REPLICAOF", "NO", "ONE")
        master.command("REPLICAOF", "127.0.0.1", replica.port)
        address.port = replica.port
        assert not await is_admitted()
        await eventually(is_admitted)
        assert (await store.take(plan, Demand())).used == (3,)
        await store.close()
