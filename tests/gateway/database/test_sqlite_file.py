"""The file of a database that somebody moves or replaces while it is open."""

import sqlite3

import pytest
import structlog

from gateway.database.engine import Database, DatabaseDown


async def number_in(database) -> int:
    [(number,)] = await database.run_alone("SELECT n FROM t")
    return number


@pytest.fixture
async def opened(tmp_path):
    """Yield the path of a file, and the database in it that is open."""
    path = tmp_path / "a.db"
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.run_alone("CREATE TABLE t (n)")
    await database.run_alone("INSERT INTO t VALUES (1)")
    yield path, database
    await database.close()


async def test_nothing_is_written_to_a_file_that_was_moved_away(opened):
    path, database = opened
    for moved in (True, False):
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            here, there = path.with_name(name), path.with_name(f"moved-{name}")
            here.rename(there) if moved else there.rename(here)
        if moved:
            with pytest.raises(DatabaseDown, match="deleted or moved"):
                await database.run_alone("UPDATE t SET n = 2")
            with pytest.raises(DatabaseDown, match="deleted or moved"):
                async with database.reading():
                    pass
            assert not path.exists()
    assert await number_in(database) == 1
    assert await database.times_replaced() == 0


async def test_a_file_that_took_the_place_of_another_is_used_from_then_on(opened):
    path, database = opened
    copy = path.with_name("copy.db")
    with sqlite3.connect(copy) as connection:
        connection.execute("CREATE TABLE t (n)")
        connection.execute("INSERT INTO t VALUES (2)")
    connection.close()
    copy.rename(path)
    # Otherwise SQLite would apply the log to the new file.
    with pytest.raises(DatabaseDown, match=r"delete a\.db-wal and a\.db-shm"):
        await number_in(database)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    with structlog.testing.capture_logs() as lines:
        assert [await number_in(database) for _ in range(2)] == [2, 2]
    assert [line["event"] for line in lines] == ["database_replaced"]
    assert await database.times_replaced() == 1
