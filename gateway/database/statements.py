"""Statements that SQLAlchemy cannot express portably, or compiles slowly.

SQLite's driver releases the interpreter's lock for each step of a statement, a row read or written,
and uses a thread of its own for each of them. A busy event loop takes up to milliseconds to return
the lock, and both pay for the change of threads; so many rows are written and read in few steps,
and frequent queries are one statement without a transaction around it.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import chain
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Final

import orjson
from sqlalchemy import Boolean, Column, Dialect, LargeBinary, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Executable

from gateway.database.engine import Database
from gateway.database.tables import REVISIONS

# The numbers of rows written at once; a statement is compiled for each of them only.
_SIZES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500)
# Of one statement: https://www.sqlite.org/limits.html, 9.
_MOST_VALUES: Final = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999


def insert_new(connection: AsyncConnection, table: Table) -> Executable:
    """Return an INSERT into *table* that skips rows whose key exists already."""
    statement: Executable = _insert(connection.dialect, table).on_conflict_do_nothing()
    return statement


async def insert_many(database: Database, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert *rows*, all with the same columns, as `insert_new` would, perhaps only a part.

    The statement is compiled once, and the rows go to the driver as they are. An error may leave
    some of them inserted. Raises one of `DatabaseDown`.
    """
    if not rows:
        return
    sql, names = _compiled(database.dialect, table, tuple(rows[0]))
    values = list(map(itemgetter(*names), rows))
    if not database.is_sqlite:
        async with database.writing() as connection:
            await connection.exec_driver_sql(sql, values)
        return
    for piece in _pieces(values, _MOST_VALUES // len(names)):
        many = _repeated(sql, len(names), len(piece))
        await database.run_alone(many, tuple(chain.from_iterable(piece)))


async def all_rows(connection: AsyncConnection, table: Table) -> Sequence[Any]:
    """Return the rows of *table*, with their columns as attributes."""
    if connection.dialect.name != "sqlite":
        return (await connection.execute(select(table))).all()
    columns = func.json_array(*map(_as_json, table.c))
    text: Any = await connection.scalar(select(func.json_group_array(columns)).select_from(table))
    return await asyncio.to_thread(_rows, table, text)


@lru_cache(maxsize=8)
def _compiled(
    dialect: Dialect, table: Table, columns: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """Return the text of the INSERT, and the columns in the order of its parameters."""
    statement = _insert(dialect, table).on_conflict_do_nothing()
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    return str(compiled), tuple(compiled.positiontup)


def _pieces(rows: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """Yield *rows* in pieces as long as one of `_SIZES`, at most *most* each.

    The last piece is filled up with its last row, which the database skips: faster than another
    statement.
    """
    sizes = [size for size in _SIZES if size <= most]
    for at in range(0, len(rows), sizes[-1]):
        piece = rows[at : at + sizes[-1]]
        size = next(size for size in sizes if size >= len(piece))
        yield [*piece, *[piece[-1]] * (size - len(piece))]


@lru_cache(maxsize=16)
def _repeated(sql: str, columns: int, rows: int) -> str:
    """Return *sql*, the INSERT of one row, extended to *rows* rows."""
    row = f"({', '.join('?' * columns)})"
    assert row in sql, "SQLite's parameters are question marks"
    return sql.replace(row, ", ".join([row] * rows))


def _as_json(column: Column[Any]) -> Any:
    return func.hex(column) if isinstance(column.type, LargeBinary) else column


def _rows(table: Table, text: str) -> list[SimpleNamespace]:
    """Return the rows in *text*, as the driver would."""
    names = table.c.keys()
    values = orjson.loads(text)
    for index, column in enumerate(table.c):
        convert = _FROM_JSON.get(type(column.type))
        if convert is not None:
            for row in values:
                row[index] = convert(row[index])
    return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in values]


# Types that have no form in JSON.
_FROM_JSON: Final[Mapping[type, Callable[[Any], Any]]] = {LargeBinary: bytes.fromhex, Boolean: bool}


async def raise_revision(connection: AsyncConnection, name: str) -> None:
    """Tell all processes, at the commit, that what they know of *name* is out of date."""
    statement = _insert(connection.dialect, REVISIONS).values(name=name, number=1)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"number": REVISIONS.c.number + 1}
        )
    )


async def revision_of(connection: AsyncConnection, name: str) -> int:
    """Return the number that `raise_revision` raises, 0 before the first time."""
    query = select(REVISIONS.c.number).where(REVISIONS.c.name == name)
    return await connection.scalar(query) or 0


async def look_for_revision(database: Database, name: str) -> int:
    """Return `revision_of` in a transaction of its own. Raises one of `DatabaseDown`."""
    if database.is_sqlite:
        rows = await database.run_alone("SELECT number FROM revisions WHERE name = ?", (name,))
        return rows[0][0] if rows else 0
    async with database.reading() as connection:
        return await revision_of(connection, name)


def _insert(dialect: Dialect, table: Table) -> Any:
    # Each dialect takes memory, and one is used.
    module: Any = import_module(f"sqlalchemy.dialects.{dialect.name}")
    return module.insert(table)
