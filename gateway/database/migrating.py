"""Upgrades the tables at start, one process at a time.

Alembic costs half a second and 36 MB to import, so it is only used when the revision is not `HEAD`.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

HEAD = "0002"
MIGRATIONS = Path(__file__).with_name("migrations")
# Any number that nobody else locks in the same PostgreSQL database.
LOCK = 7_215_304


async def migrate(engine: AsyncEngine) -> bool:
    """Upgrade the database of *engine* to `HEAD`, unless it is there already or newer.

    Tells whether it is newer.
    """
    async with engine.connect() as connection:
        version = await connection.run_sync(revision)
        if _is_current(version):
            return version != HEAD
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            await connection.execution_options(begin="IMMEDIATE")
        async with connection.begin():
            if engine.dialect.name == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            await connection.run_sync(_upgrade)
    return False


def revision(connection: Connection) -> str | None:
    """Return the revision of the database; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _is_current(version: str | None) -> bool:
    """Tell whether *version* is `HEAD` or newer: newer versions only add to the tables."""
    return version is not None and version >= HEAD


def _upgrade(connection: Connection) -> None:
    # Another process may have done it while this one waited for the lock.
    if _is_current(revision(connection)):
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
