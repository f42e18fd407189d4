"""The tables come by migration, once, whoever starts first."""

import asyncio
import sqlite3
from contextlib import closing

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from gateway.database.engine import Database
from gateway.database.migrating import HEAD, MIGRATIONS, revision
from gateway.database.tables import METADATA


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


async def test_tables_of_a_newer_version_are_left_as_they_are(database):
    """An operator who goes back to the version before must not find the gateway dead."""
    await database.migrate()
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    await database.migrate()
    async with database.reading() as connection:
        assert await connection.run_sync(revision) == "0099"
