"""Old rows go, by one process at a time; young ones and those of a patient operator stay."""

import asyncio
import time

import pytest
from sqlalchemy import select, update

from gateway.database.engine import Database
from gateway.database.statements import insert_new
from gateway.database.tables import FACTS, USAGE
from gateway.ledger import pruning
from gateway.ledger.pruning import EVERY_S, Pruner
from gateway.ledger.row import to_row
from gateway.settings import Ledger, Settings
from tests.gateway.ledger.test_ledger import count, row
from tests.patience import HANGING_S

DAY_MS = 86_400_000


@pytest.fixture
async def filled(database):
    """Fill the database with a row for each of the last 100 days."""
    now = int(time.time() * 1000) - DAY_MS // 2
    rows = [to_row(f"k{days}", row(days, at=now - days * DAY_MS)) for days in range(100)]
    async with database.writing() as connection:
        await connection.execute(insert_new(connection, USAGE), rows)
    return database


async def an_hour_passes(database):
    async with database.writing() as connection:
        value = int(await connection.scalar(select(FACTS.c.value)))
        await connection.execute(update(FACTS).values(value=str(value - EVERY_S)))


async def test_rows_older_than_the_days_kept_are_deleted_in_batches(filled, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH_ROWS", 7)
    assert await Pruner(filled, 30).prune() == 70
    assert await count(filled) == 30
    async with filled.reading() as connection:
        oldest = await connection.scalar(select(USAGE.c.at).order_by(USAGE.c.at).limit(1))
    assert oldest > time.time() * 1000 - 30 * DAY_MS


async def test_by_default_everything_stays(filled):
    assert Settings().ledger.keep_days == 0
    assert await Pruner(filled, 0).prune() == 0
    assert await count(filled) == 100


async def test_of_several_processes_one_prunes_and_not_again_within_the_hour(filled, database_url):
    others = [Database(database_url) for _ in range(3)]
    pruners = [Pruner(database, 90) for database in (filled, *others)]
    assert sorted(await asyncio.gather(*(one.prune() for one in pruners))) == [0, 0, 0, 10]
    eager = Pruner(filled, 50)
    assert await eager.prune() == 0
    await an_hour_passes(filled)
    pruned = await asyncio.gather(*(Pruner(database, 50).prune() for database in others))
    assert sorted(pruned) == [0, 0, 40]
    for database in others:
        await database.close()


async def test_a_clock_that_ran_ahead_for_a_while_does_not_end_the_pruning(filled):
    assert await Pruner(filled, 1_000).prune() == 0
    async with filled.writing() as connection:
        await connection.execute(update(FACTS).values(value=str(int(time.time()) + 86_400)))
    assert await Pruner(filled, 10).prune() == 90


async def test_a_machine_whose_clock_is_wrong_deletes_nothing_of_the_others(postgres, monkeypatch):
    database = Database(postgres.new_url())
    await database.migrate()
    async with database.writing() as connection:
        new = to_row("k", row(1, at=int(time.time() * 1000)))
        await connection.execute(insert_new(connection, USAGE), [new])
    clock = time.time()
    monkeypatch.setattr("time.time", lambda: clock + 365 * 86_400)
    assert await Pruner(database, 30).prune() == 0
    await database.close()


async def test_it_prunes_by_itself_and_obeys_a_reload(filled):
    pruner = Pruner(filled, 0)
    await pruner.reload(Settings(ledger=Ledger(keep_days=10)))
    pruner.start()
    async with asyncio.timeout(HANGING_S):
        while await count(filled) != 10:
            await asyncio.sleep(0.02)
    await pruner.close()


async def test_a_database_that_is_down_is_told_and_ends_nothing(tmp_path, capsys):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/no/x.db")
    pruner = Pruner(database, 10)
    pruner.start()
    async with asyncio.timeout(HANGING_S):
        while "ledger_not_pruned" not in capsys.readouterr().out:
            await asyncio.sleep(0.02)
    assert not pruner._task.done()
    await pruner.close()
    await database.close()
