"""Deletes rows that are older than the ledger keeps, a few at a time.

Of all processes on one database one does it, once an hour: the one that manages to set the time of
the last pruning, which only one can. A server's clock decides what is old: that of one machine may
be wrong by years.
"""

import asyncio
import time
from typing import Any, Final

import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database.engine import Database, DatabaseDown, error_text
from gateway.database.statements import insert_new
from gateway.database.tables import FACTS, USAGE
from gateway.settings import Settings

EVERY_S: Final = 3_600
# Less than `EVERY_S`, so that a long pruning is over before another process may begin.
LONGEST_S: Final = 1_800
# So few that others who want to write meanwhile hardly wait.
BATCH_ROWS: Final = 1_000
PAUSE_S: Final = 0.05
_DAY_MS: Final = 86_400_000
_PRUNED: Final = "usage_pruned"

log = structlog.get_logger()


class Pruner:
    """Keeps *keep_days* days of rows in *database*; 0 keeps all rows."""

    __slots__ = ("_database", "_keep_days", "_task")

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database = database
        self._keep_days = keep_days
        self._task: asyncio.Task[None] | None = None

    async def reload(self, settings: Settings) -> None:
        """Apply how long rows are kept."""
        self._keep_days = settings.ledger.keep_days

    def start(self) -> None:
        """Start to prune in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, between two batches or within one, which is rolled back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def prune(self) -> int:
        """Delete old rows if it is this process's turn; return their number."""
        if not self._keep_days:
            return 0
        now = await self._claim()
        if now is None:
            return 0
        before = now * 1000 - self._keep_days * _DAY_MS
        until = time.monotonic() + LONGEST_S
        rows = more = await self._delete(before)
        while more == BATCH_ROWS and time.monotonic() < until:
            await asyncio.sleep(PAUSE_S)
            more = await self._delete(before)
            rows += more
        if rows:
            log.info("ledger_pruned", rows=rows, keep_days=self._keep_days)
        return rows

    async def _run(self) -> None:
        while True:
            try:
                await self.prune()
            except DatabaseDown as error:
                log.warning("ledger_not_pruned", reason=error_text(error))
            # Several times as often as it is due, so that a new process takes over from a dead one.
            await asyncio.sleep(EVERY_S / 4)

    async def _claim(self) -> int | None:
        """Return the time in Unix seconds if it is this process's turn."""
        async with self._database.writing() as connection:
            now = int(time.time() if self._database.is_sqlite else await _server_time(connection))
            last = await _last(connection)
            if last is None:
                # A transaction that loses the race for the row adds nothing.
                row = {"name": _PRUNED, "value": str(now)}
                added = await connection.execute(insert_new(connection, FACTS), [row])
                return now if added.rowcount else None
            # One in the future was set by a clock that has been corrected since.
            if abs(now - int(last)) < EVERY_S:
                return None
            mine = (FACTS.c.name == _PRUNED) & (FACTS.c.value == last)
            moved = await connection.execute(update(FACTS).where(mine).values(value=str(now)))
            return now if moved.rowcount else None

    async def _delete(self, before: int) -> int:
        oldest = (
            select(USAGE.c.key).where(USAGE.c.at < before).order_by(USAGE.c.at).limit(BATCH_ROWS)
        )
        async with self._database.writing() as connection:
            deleted = await connection.execute(delete(USAGE).where(USAGE.c.key.in_(oldest)))
        return deleted.rowcount


async def _server_time(connection: AsyncConnection) -> float:
    seconds: Any = await connection.scalar(select(func.extract("epoch", func.now())))
    return float(seconds)


async def _last(connection: AsyncConnection) -> str | None:
    value: str | None = await connection.scalar(
        select(FACTS.c.value).where(FACTS.c.name == _PRUNED)
    )
    return value
