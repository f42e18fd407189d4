"""Rows on their way over a real Valkey: any node writes for a dead one."""

import asyncio
import time

import pytest
from redis import Redis
from sqlalchemy import func, select

from gateway.database.engine import Database
from gateway.database.tables import USAGE
from gateway.ledger.ledger import Ledger
from gateway.ledger.spill import Spill
from gateway.ledger.stream import GROUP, LedgerStream
from gateway.ledger.writer import RowWriter
from gateway.state.client import Client
from gateway.state.store import StoreDown
from tests.gateway.ledger.test_ledger import count, row
from tests.gateway.state.servers import odd_server

KEY = "test:ledger"


def node(valkey, database, tmp_path, name):
    stream = LedgerStream(Client(valkey.url, 1.0, {}), KEY, name)
    return Ledger(database, Spill(tmp_path / name, name), stream)


async def test_rows_take_the_way_over_the_stream(valkey, database, tmp_path):
    one = node(valkey, database, tmp_path, "one")
    for number in range(1_200):
        one.book(row(number))
    await one.flush()
    assert valkey.command("XLEN", KEY) == 3
    assert await count(database) == 0
    await one.close()
    assert await count(database) == 1_200
    assert valkey.command("XLEN", KEY) == 0


async def test_a_running_ledger_writes_what_came_over_the_stream(
    valkey, database, tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.ledger.ledger.INTERVAL_S", 0.02)
    one = node(valkey, database, tmp_path, "one")
    await one.start()
    one.book(row(1))
    async with asyncio.timeout(10):
        while not await count(database):
            await asyncio.sleep(0.02)
    await one.close()
    assert await count(database) == 1


async def test_any_node_writes_what_a_dead_one_sent_or_took(valkey, database, tmp_path):
    dead = node(valkey, database, tmp_path, "dead")
    dead.book(row(1))
    await dead.flush()
    assert len(await dead._stream.take()) == 1
    dead.book(row(2))
    await dead.flush()
    living = node(valkey, database, tmp_path, "living")
    living._stream.take_over_ms = 0
    await living._drain_stream()
    assert await count(database) == 2
    await living.close()
    await dead._stream.close()


def consumers(valkey):
    with Redis(unix_socket_path=str(valkey.socket)) as client:
        return {one["name"].decode() for one in client.xinfo_consumers(KEY, GROUP)}


async def test_consumers_that_died_with_nothing_pending_leave_the_group(valkey, database, tmp_path):
    for name in ("killed", "holding"):
        dead = node(valkey, database, tmp_path, name)
        await dead._drain_stream()
        dead.book(row(1))
        await dead.flush()
        if name == "killed":
            await dead._drain_stream()
        else:
            assert len(await dead._stream.take()) == 1
        await dead._stream._client.close()
    living = node(valkey, database, tmp_path, "living")
    living._stream.strike_off_ms = 0
    await living._stream.take()
    assert consumers(valkey) == {"holding", "living"}, "what holds entries must stay"
    living._stream.take_over_ms = living._stream._strike_off_at = 0
    await living._drain_stream()
    living._stream._strike_off_at = 0
    await living._stream.take()
    assert consumers(valkey) == {"living"}
    assert await count(database) == 2
    await living.close()
    assert consumers(valkey) == set(), "one that ends leaves by itself"


async def test_a_consumer_seen_lately_stays(valkey, database, tmp_path):
    one, other = (node(valkey, database, tmp_path, name) for name in ("one", "other"))
    for each in (one, other):
        each._stream._strike_off_at = 0
        await each._drain_stream()
    assert consumers(valkey) == {"one", "other"}
    for each in (one, other):
        await each.close()


async def test_what_is_left_behind_is_found_behind_a_long_list_of_what_is_held(
    valkey, database, tmp_path
):
    busy, dead, living = (node(valkey, database, tmp_path, n) for n in ("busy", "dead", "living"))
    for _ in range(120):
        await busy._stream.add([])
    for _ in range(30):
        busy._stream._has_unwritten = False
        assert len(await busy._stream.take()) == 4
    await busy._stream.add([])
    lost = [entry.id for entry in await dead._stream.take()]
    valkey.command("XCLAIM", KEY, GROUP, "dead", 0, *lost, "IDLE", 60_000)
    living._stream.take_over_ms = 30_000
    await living._stream._make_group()
    found = [entry for _ in range(40) for entry in await living._stream._claim_abandoned()]
    assert [entry.id for entry in found] == lost
    for each in (busy, dead, living):
        await each._stream._client.close()


async def test_entries_whose_reply_was_lost_are_written_by_the_next_turn(
    valkey, database, tmp_path, monkeypatch
):
    one = node(valkey, database, tmp_path, "one")
    await one._drain_stream()
    one.book(row(1))
    await one.flush()
    send = Client.send

    async def lose(client, commands):
        await send(client, commands)
        raise StoreDown("the reply is lost")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "send", lose)
        await one._drain_stream()
    assert await count(database) == 0
    one.book(row(2))
    await one.flush()
    await one._drain_stream()
    assert await count(database) == 2
    await one.close()


async def test_all_rows_are_written_as_soon_as_the_server_is_back(valkey, database, tmp_path):
    one = node(valkey, database, tmp_path, "one")
    one.book(row(1))
    await one.flush()
    one._stream._retry_at = time.monotonic() + 60
    one.book(row(2))
    assert await one.write_all()
    assert await count(database) == 2
    await one.close()


async def test_an_entry_that_another_program_wrote_is_passed_over(valkey, database, tmp_path):
    one = node(valkey, database, tmp_path, "one")
    for junk in ("{", "5", '["x", {"key": 1}]'):
        valkey.command("XADD", KEY, "*", "rows", junk)
    valkey.command("XADD", KEY, "*", "other", "field")
    one.book(row(1))
    await one.close()
    assert await count(database) == 1
    assert valkey.command("XLEN", KEY) == 0


async def test_a_database_that_is_down_leaves_the_entries_to_be_written_later(
    valkey, database, tmp_path
):
    one = node(valkey, Database(f"sqlite+aiosqlite:///{tmp_path}/no/x.db"), tmp_path, "one")
    one.book(row(1))
    await one.flush()
    await one._drain_stream()
    assert valkey.command("XLEN", KEY) == 1
    one.book(row(2))
    await one.flush()
    assert len(list((tmp_path / "one").iterdir())) == 1, "the outage is sat out on disk"
    one._writer = RowWriter(database)
    await one.close()
    assert await count(database) == 2


async def test_without_the_server_rows_go_straight_to_the_database(own_valkey, database, tmp_path):
    one = node(own_valkey, database, tmp_path, "one")
    own_valkey.kill()
    one.book(row(1))
    await one.flush()
    assert await count(database) == 1
    own_valkey.start()
    one.book(row(2))
    await one.close()
    assert await count(database) == 2


async def test_a_server_that_hangs_counts_as_down(own_valkey, monkeypatch):
    monkeypatch.setattr("gateway.ledger.stream.TIMEOUT_S", 0.05)
    stream = LedgerStream(Client(own_valkey.url, 1.0, {}), KEY, "one")
    await stream.add([])
    own_valkey.hang()
    with pytest.raises(StoreDown):
        await stream.add([])
    # A stop has more to ask of it, and waits for that no more.
    monkeypatch.setattr("gateway.ledger.stream.TIMEOUT_S", 60.0)
    async with asyncio.timeout(1):
        await stream.close()


@pytest.mark.parametrize("reply", [b"+OK\r\n", b":5\r\n"])
async def test_what_answers_but_is_no_state_server_ends_nothing(own_valkey, tmp_path, reply):
    own_valkey.kill()
    one = node(own_valkey, Database(f"sqlite+aiosqlite:///{tmp_path}/x.db"), tmp_path, "one")
    async with odd_server(own_valkey.socket, reply):
        await one._drain_stream()
        await one.close()


async def test_the_group_is_made_again_after_the_server_was_emptied(valkey, database, tmp_path):
    one = node(valkey, database, tmp_path, "one")
    await one._drain_stream()
    valkey.command("FLUSHALL")
    one.book(row(1))
    await one.flush()
    await one._drain_stream()
    await one._drain_stream()
    assert await count(database) == 1
    await one.close()
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(USAGE)) == 1
