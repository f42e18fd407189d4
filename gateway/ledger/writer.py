"""Writes rows to the database, and remembers whether that is possible."""

import asyncio
import time
from typing import Final

import structlog

from gateway.database.engine import Database, DatabaseDown, error_text
from gateway.database.statements import insert_many
from gateway.database.tables import USAGE
from gateway.ledger.row import Row, by_columns

# After a failure the database is left alone this long.
RETRY_S: Final = 1.0
WRITE_TIMEOUT_S: Final = 5.0

log = structlog.get_logger()


class RowWriter:
    """Writes to *database*; `outage` is set from a failure until the next success."""

    __slots__ = ("_database", "_retry_at", "outage")

    def __init__(self, database: Database) -> None:
        self.outage = False
        self._database = database
        self._retry_at = 0.0

    def may_try(self) -> bool:
        """Tell whether the last failure is long enough ago."""
        return time.monotonic() >= self._retry_at

    async def write(self, rows: list[Row]) -> bool:
        """Write *rows*, skipping those that exist already; False if that is impossible now."""
        if not self.may_try():
            return False
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                for group in by_columns(rows):
                    await insert_many(self._database, USAGE, group)
        except DatabaseDown as error:
            self._failed(error)
            return False
        if self.outage:
            log.info("ledger_database_back")
        self.outage = False
        return True

    def _failed(self, error: BaseException) -> None:
        self._retry_at = time.monotonic() + RETRY_S
        if not self.outage:
            log.warning("ledger_database_down", reason=error_text(error))
        self.outage = True
