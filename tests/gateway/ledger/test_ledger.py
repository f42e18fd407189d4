"""The ledger: no row lost, none twice, nobody waits."""

import asyncio

import pytest
import structlog
from sqlalchemy import func, select

from gateway.database.engine import Database
from gateway.database.tables import USAGE
from gateway.exchange import Usage
from gateway.ledger import ledger as ledger_module
from gateway.ledger.ledger import Ledger
from gateway.ledger.row import LedgerRow
from gateway.ledger.spill import Spill
from gateway.ledger.writer import RowWriter


def row(number=1, **changes):
    return LedgerRow(
        at=1_700_000_000_000 + number,
        id=f"request-{number}",
        license="alice",
        requested_model="gemini-flash",
        model="gemini-2.5-flash",
        credential="main",
        usage=Usage(prompt=10, completion=5, total=15),
        cost=0.25,
        milliseconds=7,
        status=200,
        finish="stop",
        error=None,
    )._replace(**changes)


async def count(database):
    async with database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(USAGE))


@pytest.fixture
def ledger(database, tmp_path):
    return Ledger(database, Spill(tmp_path / "spill", "me"))


async def test_what_is_booked_is_written_whole(ledger, database):
    ledger.book(row())
    await ledger.flush()
    async with database.reading() as connection:
        [found] = (await connection.execute(select(USAGE))).mappings()
    assert {name: found[name] for name in ("id", "license", "model", "asked", "finish")} == {
        "id": "request-1",
        "license": "alice",
        "model": "gemini-2.5-flash",
        "asked": "gemini-flash",
        "finish": "stop",
    }
    assert (found["prompt"], found["total"], found["cost_nanos"]) == (10, 15, 250_000_000)


async def test_a_client_that_repeats_its_request_id_is_booked_each_time(ledger, database):
    for _ in range(3):
        ledger.book(row(1))
    await ledger.flush()
    assert await count(database) == 3


async def test_no_text_or_number_is_refused_by_the_database(ledger, database):
    words = {"id": "x" * 200, "license": "é" * 200, "model": "\0\udcff" * 200, "finish": "\0"}
    hostile = row(**words, usage=Usage(prompt=-5, total=10**30), cost=1e300)
    ledger.book(hostile)
    ledger.book(row(2))
    await ledger.flush()
    assert await count(database) == 2


async def test_thousands_of_rows_are_written_by_the_running_ledger(ledger, database):
    await ledger.start()
    for number in range(2_000):
        ledger.book(row(number))
    assert len(ledger) == 2_000
    await ledger.close()
    assert await count(database) == 2_000
    assert len(ledger) == 0


async def test_rows_of_an_outage_are_spilled_and_replayed_once(tmp_path):
    folder = tmp_path / "later"
    database = Database(f"sqlite+aiosqlite:///{folder}/test.db")
    ledger = Ledger(database, Spill(tmp_path / "spill", "me"))
    for number in range(700):
        ledger.book(row(number))
    await ledger.flush()
    assert len(ledger) == 0
    assert len((next((tmp_path / "spill").iterdir())).read_bytes().splitlines()) == 700
    folder.mkdir()
    await database.migrate()
    ledger._writer._retry_at = 0.0
    ledger.book(row(701))
    await ledger.close()
    assert await count(database) == 701
    assert list((tmp_path / "spill").iterdir()) == []
    await database.close()


async def test_what_a_killed_process_spilled_is_replayed_by_the_next(database, tmp_path):
    dead = Ledger(
        Database(f"sqlite+aiosqlite:///{tmp_path}/no/x.db"), Spill(tmp_path / "s", "dead")
    )
    dead.book(row())
    await dead.flush()
    await Ledger(database, Spill(tmp_path / "s", "early")).close()
    assert await count(database) == 0, "the file is still held"
    dead._spill._file.close()
    await Ledger(database, Spill(tmp_path / "s", "living")).close()
    assert await count(database) == 1


async def test_who_replays_hears_whether_the_database_takes_rows(tmp_path):
    folder = tmp_path / "later"
    database = Database(f"sqlite+aiosqlite:///{folder}/x.db")
    ledger = Ledger(database, Spill(tmp_path / "s", "me"))
    assert await ledger.replay()
    ledger.book(row())
    await ledger.flush()
    assert await asyncio.gather(ledger.replay(), ledger.replay()) == [False, False]
    folder.mkdir()
    await database.migrate()
    ledger._writer._retry_at = 0.0
    assert await asyncio.gather(ledger.replay(), ledger.replay()) == [True, True]
    assert await count(database) == 1
    await database.close()


async def test_replaying_twice_books_once(database, tmp_path):
    folder = tmp_path / "s"
    ledger = Ledger(Database(f"sqlite+aiosqlite:///{tmp_path}/no/x.db"), Spill(folder, "me"))
    ledger.book(row())
    await ledger.flush()
    ledger._spill.seal()
    [path] = folder.iterdir()
    text = path.read_bytes()
    newer = text.replace(b'"key"', b'"unheard_of":1,"key"')
    for written in (text, text + b'{"key": "cut', b"{}\n\0\0}\n" + newer):
        path.write_bytes(written)
        await Ledger(database, Spill(folder, "other")).close()
        assert list(folder.iterdir()) == []
    assert await count(database) == 1


async def test_a_long_outage_makes_no_more_than_two_files(tmp_path):
    ledger = Ledger(
        Database(f"sqlite+aiosqlite:///{tmp_path}/no/x.db"), Spill(tmp_path / "s", "me")
    )
    for number in range(10):
        ledger.book(row(number))
        await ledger.flush()
        ledger._writer._retry_at = 0.0
        await ledger._replay()
    assert len(list((tmp_path / "s").iterdir())) <= 2
    await ledger.close()


async def test_during_an_outage_rows_go_to_disk_without_asking_the_database_first(
    database, tmp_path
):
    ledger = Ledger(database, Spill(tmp_path / "s", "me"))
    ledger._writer.outage = True
    ledger.book(row(1))
    async with database.writing():
        await asyncio.wait_for(ledger.flush(), 4)
    assert len(list((tmp_path / "s").iterdir())) == 1
    await ledger.close()
    assert await count(database) == 1
    assert not ledger._writer.outage


def without_database_and_disk(tmp_path) -> Ledger:
    """Return a ledger that can write its rows nowhere."""
    (tmp_path / "s").write_text("in the way of the folder")
    gone = Database(f"sqlite+aiosqlite:///{tmp_path}/no/x.db")
    return Ledger(gone, Spill(tmp_path / "s", "me"))


async def test_with_disk_and_database_gone_rows_wait_in_memory(database, tmp_path):
    ledger = without_database_and_disk(tmp_path)
    for number in range(1_200):
        ledger.book(row(number))
    await ledger.flush()
    assert len(ledger) == 1_200
    ledger._writer = RowWriter(database)
    await ledger.flush()
    assert await count(database) == 1_200


async def test_with_disk_and_database_gone_one_line_says_why_and_the_last_what_is_lost(tmp_path):
    ledger = without_database_and_disk(tmp_path)
    with structlog.testing.capture_logs() as lines:
        for number in range(3):
            ledger.book(row(number))
            await ledger.flush()
        await ledger.close()
    told = [line for line in lines if line["event"] != "ledger_database_down"]
    assert told == [
        {"event": "ledger_spill_failed", "log_level": "warning", "reason": "File exists"},
        {"event": "ledger_rows_lost", "log_level": "error", "rows": 3},
    ]


async def test_of_the_rows_that_wait_in_memory_the_oldest_are_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_module, "MOST_WAITING", 2)
    ledger = without_database_and_disk(tmp_path)
    with structlog.testing.capture_logs() as lines:
        for number in range(5):
            ledger.book(row(number))
        await ledger.flush()
    assert [kept["id"] for kept in ledger._waiting] == ["request-3", "request-4"]
    assert [line["rows"] for line in lines if line["event"] == "ledger_rows_lost"] == [3]


async def test_booking_never_waits_for_a_database_that_hangs(database, tmp_path):
    ledger = Ledger(database, Spill(tmp_path / "s", "me"))
    async with database.writing():
        flush = asyncio.create_task(ledger.flush())
        ledger.book(row())
        await asyncio.sleep(0)
        ledger.book(row(2))
    await flush
    await ledger.flush()
    assert await count(database) == 2


async def test_rows_that_come_during_a_write_wait_for_company(ledger, monkeypatch):
    written = []

    async def write(_, rows):
        written.append(len(rows))
        ledger.book(row())
        ledger.book(row())
        return True

    monkeypatch.setattr(RowWriter, "write", write)
    for number in range(1_200):
        ledger.book(row(number))
    await ledger.flush()
    assert written == [500, 500, 200]
    assert len(ledger) == 6


async def test_a_spill_folder_that_cannot_be_read_ends_nothing(database, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "broken.jsonl").mkdir()
    ledger = Ledger(database, Spill(tmp_path / "s", "me"))
    await ledger.start()
    ledger.book(row())
    await ledger._replay()
    await ledger.close()
    assert await count(database) == 1


async def cancelled_in_a_write(step):
    """Do *step* with a database that hangs, and cancel it then, as the end of a seeding does."""
    begun = asyncio.Event()

    async def hang(*_):
        begun.set()
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RowWriter, "write", hang)
        working = asyncio.create_task(step())
        await begun.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def test_a_write_that_is_cancelled_loses_no_row(ledger, database):
    ledger.book(row())
    await cancelled_in_a_write(ledger.write_all)
    assert len(ledger) == 1
    await ledger.flush()
    assert await count(database) == 1


async def test_a_replay_that_is_cancelled_is_made_up_for(ledger, database):
    ledger._writer.outage = True
    ledger.book(row())
    await ledger.flush()
    await cancelled_in_a_write(ledger.write_all)
    assert await ledger.replay()
    assert await count(database) == 1
