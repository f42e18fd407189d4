"""The tables come by migration, once, whoever starts first."""

import asyncio
import sqlite3
from contextlib import closing

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from gateway.database.engine import Database
from gateway.database.migrating import HEAD, MIGRATIONS, revision
from gateway.database.statements import insert_many
from gateway.database.tables import METADATA, USAGE
from gateway.ledger.report import Selection, sums
from tests.gateway.database.test_statements import usage


def test_the_head_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_the_migrations_make_the_tables_that_the_code_knows(database):
    def differences(connection):
        context = MigrationContext.configure(connection)
        return compare_metadata(context, METADATA)

    async with database.reading() as connection:
        assert await connection.run_sync(revision) == HEAD
        assert await connection.run_sync(differences) == []


async def test_many_that_start_at_once_migrate_once(database_url):
    databases = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(one.migrate() for one in databases))
    for one in databases:
        async with one.reading() as connection:
            assert await connection.run_sync(revision) == HEAD
        await one.close()


async def test_a_new_file_that_another_process_writes_to_is_waited_for(tmp_path):
    """SQLite refuses to change how it writes while somebody does, and does not wait by itself."""
    path = tmp_path / "new.db"
    database = Database(f"sqlite+aiosqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE theirs (x)")
        migrating = asyncio.create_task(database.migrate())
        done, _ = await asyncio.wait([migrating], timeout=0.3)
        assert not done
        other.execute("COMMIT")
        await migrating
    async with database.reading() as connection:
        assert await connection.run_sync(revision) == HEAD
        assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
    await database.close()


async def test_rows_of_the_first_tables_are_kept(tmp_path):
    """Its columns are all that processes of that version write."""
    path = tmp_path / "old.db"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    database = Database(f"sqlite+aiosqlite:///{path}")
    await insert_many(database, USAGE, [usage("before")])
    await database.migrate()
    await insert_many(database, USAGE, [usage("after")])
    [found] = await sums(database, Selection(0), ())
    assert (found.requests, found.audio_input) == (2, 0)
    await database.close()


async def test_tables_of_a_newer_version_are_left_alone(database, database_url):
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    older = Database(database_url)
    assert await older.migrate()
    async with older.reading() as connection:
        assert await connection.run_sync(revision) == "9999"
    await older.close()
