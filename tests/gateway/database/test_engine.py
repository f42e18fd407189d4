"""Databases by URL: what is refused, and what a failing one says."""

import asyncio
import os
import signal
import sys

import pytest
from sqlalchemy import func, select, text

from gateway.database.engine import Database, DatabaseDown, error_text
from gateway.database.statements import raise_revision
from gateway.database.tables import REVISIONS
from gateway.settings import ConfigError


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:secret@host/db",
        "postgresql://me:secret@host/db",
        "postgresql+nothing://me:secret@host/db",
        "mysql://me:secret@host/db",
        "sqlite:///gateway.db",
        "sqlite+aiosqlite://folder/gateway.db",
        "oracle+nothing://x",
        "nonsense",
        "",
    ],
)
def test_a_url_of_another_kind_is_told_those_that_are_possible(url):
    with pytest.raises(ConfigError) as caught:
        Database(url)
    expected = "database.url: must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://"
    assert str(caught.value) == expected


def test_a_driver_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"^database.url: .*'asyncpg'.*gateway\[postgres\]"):
        Database("postgresql+asyncpg://host/db")


@pytest.mark.parametrize("password", ["sec@ret", "sec@ret:word", "x@sec:ret"])
def test_a_password_that_is_not_escaped_is_not_quoted(password):
    with pytest.raises(ConfigError, match="%40") as caught:
        Database(f"postgresql+asyncpg://me:{password}@host/db")
    assert "sec" not in str(caught.value)


async def test_many_writers_of_one_process_take_turns(database):
    async def write():
        async with database.writing() as connection:
            await raise_revision(connection, "licenses")

    await asyncio.gather(*(write() for _ in range(20)))
    async with database.reading() as connection:
        assert await connection.scalar(select(func.sum(REVISIONS.c.number))) == 20


async def test_what_fails_within_a_transaction_undoes_it(database):
    with pytest.raises(RuntimeError):  # noqa: PT012 - the block is the transaction
        async with database.writing() as connection:
            await raise_revision(connection, "licenses")
            raise RuntimeError
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(REVISIONS)) == 0


async def test_a_database_that_is_not_there_says_so_without_the_statement(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder.db")
    with pytest.raises(DatabaseDown) as caught:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 'secret'"))
    assert error_text(caught.value) == "OperationalError: unable to open database file"
    await database.close()


async def test_a_statement_alone_is_committed_and_one_that_fails_leaves_nothing_open(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/test.db"
    one, other = Database(url), Database(url)
    await one.migrate()
    with pytest.raises(DatabaseDown) as caught:
        await one.run_alone("INSERT INTO missing VALUES (?)", ("secret",))
    assert error_text(caught.value) == "OperationalError: no such table: missing"
    await one.run_alone("INSERT INTO revisions VALUES (?, ?)", ("licenses", 7))
    assert await other.run_alone("SELECT * FROM revisions") == [("licenses", 7)]
    await one.close()
    await other.close()


async def test_a_statement_alone_waits_for_who_writes(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/test.db"
    one, other = Database(url), Database(url)
    await one.migrate()
    async with other.writing() as connection:
        await raise_revision(connection, "licenses")
        change = "UPDATE revisions SET number = number + 1"
        waiting = asyncio.create_task(one.run_alone(change))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    await waiting
    assert await other.run_alone("SELECT number FROM revisions") == [(2,)]
    await one.close()
    await other.close()


async def test_who_reads_a_file_holds_up_no_writer(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    await database.migrate()
    async with database.reading() as connection, asyncio.timeout(5):
        assert await connection.scalar(select(func.count()).select_from(REVISIONS)) == 0
        async with database.writing() as other:
            await raise_revision(other, "licenses")
        await database.run_alone("UPDATE revisions SET number = 7")
    async with database.reading() as connection:
        assert await connection.scalar(select(REVISIONS.c.number)) == 7
    await database.close()


async def test_a_stamp_changes_with_each_write_by_anybody(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/test.db"
    one, other = Database(url), Database(url)
    assert one.stamp() is None
    await one.migrate()
    # What was written just now may be written to again at the same time, as files tell it.
    assert one.stamp() is None
    await asyncio.sleep(0.15)
    before = one.stamp()
    assert before is not None
    assert before == other.stamp()
    async with other.writing() as connection:
        await connection.execute(text("CREATE TABLE added (id INTEGER)"))
    await asyncio.sleep(0.15)
    assert one.stamp() not in (None, before)
    await one.close()
    await other.close()


def test_a_server_and_a_database_in_memory_have_no_stamp():
    assert Database("sqlite+aiosqlite://").stamp() is None
    assert Database("postgresql+asyncpg://localhost/x").stamp() is None


async def test_a_server_that_hangs_is_left_soon(postgres, monkeypatch):
    monkeypatch.setattr("gateway.database.engine.CLOSE_TIMEOUT_S", 0.05)
    database = Database(postgres.new_url())
    async with database.reading() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(2):
            await database.close()
    finally:
        os.kill(pid, signal.SIGCONT)


def test_an_error_without_words_is_told_by_its_name():
    assert error_text(TimeoutError()) == "TimeoutError"
