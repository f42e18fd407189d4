"""One database by its URL: opened lazily, migrated once, the same for SQLite and PostgreSQL."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, Final

import structlog
from sqlalchemy import URL, Dialect, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.database.migrating import migrate
from gateway.database.sqlite_file import SqliteFile
from gateway.settings import ConfigError

# Raised by the libraries when the database does not answer or misbehaves.
DatabaseDown = (SQLAlchemyError, sqlite3.Error, OSError, TimeoutError)

BUSY_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
# A hanging server does not close connections either, and would delay the end of the gateway.
CLOSE_TIMEOUT_S = 2.0
_TURN_S = 0.02
# Of one transaction, including the wait for its connection.
TRANSACTION_TIMEOUT_S = 30.0

_log: Final = structlog.get_logger()

_DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")
_NO_DRIVER = "database.url: must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://"
_NOT_UNDERSTOOD = (
    "database.url: cannot be understood; ports are numbers, and in user and password / @ : are "
    "written %2F %40 %3A"
)


class Database:
    """Provides transactions on the database at *url*. Raises `ConfigError` for an unusable one."""

    def __init__(self, url: str) -> None:
        parsed, self._engine = _make_engine(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        name = parsed.database if self.is_sqlite else None
        self._file = SqliteFile(name) if name else None
        self._times_replaced = 0
        self._replacing = asyncio.Lock()
        if self.is_sqlite:
            _prepare_sqlite(self._engine.sync_engine, self._file)
        # SQLite has one writer at a time; a second one of this process waits here instead.
        self._turn = asyncio.Lock()
        # With a write-ahead log readers do not block writers; a database in memory has one
        # connection.
        self._reading_turn = asyncio.Lock() if name and name != ":memory:" else self._turn

    @property
    def dialect(self) -> Dialect:
        """The dialect that statements are compiled for."""
        return self._engine.dialect

    async def migrate(self) -> bool:
        """Upgrade the tables, one process at a time; tell whether they are a newer version's.

        Raises one of `DatabaseDown`.
        """
        async with asyncio.timeout(TRANSACTION_TIMEOUT_S), self._turn:
            await self._leave_replaced_file()
            return await migrate(self._engine)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Yield a transaction, committed at the end. Raises one of `DatabaseDown`."""
        async with (
            asyncio.timeout(TRANSACTION_TIMEOUT_S),
            self._turn_if_sqlite(),
            self._connect() as connection,
        ):
            if self.is_sqlite:
                # A reading transaction that begins to write may be refused at once.
                await connection.execution_options(begin="IMMEDIATE")
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection to read from. Raises one of `DatabaseDown`."""
        async with (
            asyncio.timeout(TRANSACTION_TIMEOUT_S),
            self._reading_turn if self.is_sqlite else nullcontext(),
            self._connect() as connection,
        ):
            yield connection

    async def run_alone(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one *statement* of SQLite as its own transaction; return its rows.

        The driver changes threads for each step, and a busy event loop pays for each change: here
        there are two, where `reading` and `writing` take a dozen. Raises one of `DatabaseDown`.
        """
        async with (
            asyncio.timeout(TRANSACTION_TIMEOUT_S),
            self._turn,
            self._connect() as connection,
        ):
            pooled: Any = await connection.get_raw_connection()
            return list(await pooled.driver_connection.execute_fetchall(statement, values))

    async def times_replaced(self) -> int:
        """Turn to the file that is at the path now; return how often it was another one.

        Raises one of `DatabaseDown` if there is none.
        """
        await self._leave_replaced_file()
        return self._times_replaced

    def stamp(self) -> tuple[int, ...] | None:
        """Return a value that changes with every change by anybody; None if files do not show it.

        It takes microseconds, where asking SQLite takes a thread and milliseconds.
        """
        return self._file.stamp() if self._file else None

    async def close(self) -> None:
        """Close all connections."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._engine.dispose()

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[AsyncConnection]:
        await self._leave_replaced_file()
        async with self._engine.connect() as connection:
            yield connection

    async def _leave_replaced_file(self) -> None:
        """Close the connections to a file in whose place there is another one now."""
        if self._file is None or not self._file.is_replaced():
            return
        async with self._replacing:
            if self._file.is_replaced():
                await self._engine.dispose()
                self._file.note_opened()
                self._times_replaced += 1
                _log.warning("database_replaced")

    def _turn_if_sqlite(self) -> AbstractAsyncContextManager[Any]:
        return self._turn if self.is_sqlite else nullcontext()


def _make_engine(url: str) -> tuple[URL, AsyncEngine]:
    """Return *url* parsed, and its engine. Raises `ConfigError` for an unusable one."""
    try:
        parsed = make_url(url)
        # Database hosts write `postgres://`, without the driver.
        if parsed.drivername not in _DRIVERS:
            raise ConfigError(_NO_DRIVER)
        options = _SQLITE if parsed.get_backend_name() == "sqlite" else _POSTGRES
        engine = create_async_engine(parsed, **options)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"database.url: needs the package {error.name!r}; PostgreSQL comes with the extra "
            "gateway[postgres]"
        ) from None
    except ValueError:
        # The text may quote a part of the password.
        raise ConfigError(_NOT_UNDERSTOOD) from None
    except (ArgumentError, InvalidRequestError):
        # No address at all, or one of SQLite with two slashes.
        raise ConfigError(_NO_DRIVER) from None
    if "@" in (parsed.host or ""):
        # The end of a password, which errors of the connection would quote.
        raise ConfigError(_NOT_UNDERSTOOD)
    return parsed, engine


def error_text(error: BaseException) -> str:
    """Return the message of the database *error*, without the statement and its values."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    return f"{type(error).__name__}: {str(error)[:200]}".removesuffix(": ")


_SQLITE: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
_POSTGRES: dict[str, Any] = {
    # A connection that died with the server is replaced instead of failing its next transaction.
    "pool_pre_ping": True,
    "pool_size": 3,
    "connect_args": {"timeout": CONNECT_TIMEOUT_S, "command_timeout": TRANSACTION_TIMEOUT_S},
}


async def _prepare_connection(connection: Any) -> None:
    """Enable the write-ahead log, and what goes with it, on *connection* (aiosqlite's).

    Enabling it is refused at once, in spite of the busy timeout, while another process does so or
    writes: processes that start together take turns.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + BUSY_TIMEOUT_S
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        while True:
            try:
                async with connection.execute(f"PRAGMA {pragma}"):
                    break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or loop.time() >= deadline:
                    raise
                await asyncio.sleep(_TURN_S)


def _prepare_sqlite(engine: Any, file: SqliteFile | None) -> None:
    """Make SQLite begin transactions when told to, also for tables, and use a write-ahead log."""

    @event.listens_for(engine, "do_connect")
    def probe(_: Any, __: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        # A failed open leaves a thread of aiosqlite that may outlive the event loop and complain; a
        # database that cannot be opened is better noticed without a thread.
        sqlite3.connect(arguments[0], uri=options.get("uri", False)).close()

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        try:
            connection.run_async(_prepare_connection)
        except Exception:
            # Nobody else would: the connection is not in the pool yet, and holds a thread.
            connection.close()
            raise
        if file is not None:
            file.note_opened()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        kind = connection.get_execution_options().get("begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {kind}")
