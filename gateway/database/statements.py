"""The two statements that SQLAlchemy has no common words for."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Executable

from gateway.database.tables import REVISIONS


def insert_new(connection: AsyncConnection, table: Table) -> Executable:
    """Give an INSERT into *table* that passes over rows whose key is there already."""
    statement: Executable = _insert(connection, table).on_conflict_do_nothing()
    return statement


async def raise_revision(connection: AsyncConnection, name: str) -> None:
    """Tell all processes, at the commit, that what they know of *name* is out of date."""
    statement = _insert(connection, REVISIONS).values(name=name, number=1)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"number": REVISIONS.c.number + 1}
        )
    )


def _insert(connection: AsyncConnection, table: Table) -> Any:
    module: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    return module.insert(table)
