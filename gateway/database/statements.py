"""The statements that SQLAlchemy has no common words for, or takes long to make."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Executable

from gateway.database.tables import REVISIONS


def insert_new(connection: AsyncConnection, table: Table) -> Executable:
    """Give an INSERT into *table* that passes over rows whose key is there already."""
    statement: Executable = _insert(connection, table).on_conflict_do_nothing()
    return statement


async def insert_many(
    connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert *rows*, all columns each, as `insert_new` would, in a third of the time.

    The statement is compiled once, and the rows go to the driver as they are.
    """
    sql, names = _compiled(connection.dialect, table)
    values = list(map(itemgetter(*names), rows))
    await connection.exec_driver_sql(sql, values)


@lru_cache(maxsize=8)
def _compiled(dialect: Dialect, table: Table) -> tuple[str, tuple[str, ...]]:
    """Give the text of the INSERT, and the columns in the order of its parameters."""
    module: Any = sqlite if dialect.name == "sqlite" else postgresql
    compiled = module.insert(table).on_conflict_do_nothing().compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup)


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
