"""Rows on their way over a real Valkey: any node writes for a dead one."""

import pytest
from sqlalchemy import func, select

from gateway.database.engine import Database
from gateway.database.tables import USAGE
from gateway.ledger.ledger import Ledger
from gateway.ledger.spill import Spill
from gateway.ledger.stream import LedgerStream
from gateway.state.client import Client
from gateway.state.store import StoreDown
from tests.gateway.ledger.test_ledger import count, row


def node(valkey, database, tmp_path, name):
    stream = LedgerStream(Client(valkey.url, 1.0, {}), "test:ledger", name)
    return Ledger(database, Spill(tmp_path / name, name), stream)


async def test_rows_take_the_way_over_the_stream(valkey, database, tmp_path):
    one = node(valkey, database, tmp_path, "one")
    for number in range(1_200):
        one.book(row(number))
    await one.flush()
    assert valkey.command("XLEN", "test:ledger") == 3
    assert await count(database) == 0
    await one.close()
    assert await count(database) == 1_200
    assert valkey.command("XLEN", "test:ledger") == 0


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


async def test_a_database_that_is_down_leaves_the_entries_to_be_written_later(
    valkey, database, tmp_path
):
    one = node(valkey, Database(f"sqlite+aiosqlite:///{tmp_path}/no/x.db"), tmp_path, "one")
    one.book(row(1))
    await one.flush()
    await one._drain_stream()
    assert valkey.command("XLEN", "test:ledger") == 1
    one.book(row(2))
    await one.flush()
    assert len(list((tmp_path / "one").iterdir())) == 1, "the outage is sat out on disk"
    one._database, one._retry_at = database, 0.0
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
    stream = LedgerStream(Client(own_valkey.url, 1.0, {}), "test:ledger", "one")
    await stream.add([{"key": "k"}])
    own_valkey.hang()
    with pytest.raises(StoreDown):
        await stream.add([{"key": "l"}])
    own_valkey.resume()
    await stream.close()


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
