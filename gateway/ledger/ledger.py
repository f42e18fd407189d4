"""The ledger: takes rows in memory, writes them in batches, waits for nobody.

    book -> queue -> stream, if there is a state server -> any node -> database
                  -> database, if not or the stream is down
                  -> spill file, if the database is down -> database, when it is back

Every row gets a key before the first attempt, so that writing it twice changes nothing.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TYPE_CHECKING, Final

import structlog

from gateway.database.engine import Database, DatabaseDown, told
from gateway.database.statements import insert_new
from gateway.database.tables import USAGE
from gateway.ledger.row import LedgerRow, written
from gateway.ledger.spill import Row, Spill, claimed, read_rows
from gateway.state.store import StoreDown

if TYPE_CHECKING:
    # Needs the extra [redis].
    from gateway.ledger.stream import LedgerStream

BATCH_ROWS: Final = 500
INTERVAL_S: Final = 1.0
# While the database is down it is asked again after so long.
RETRY_S: Final = 1.0
WRITE_TIMEOUT_S: Final = 5.0
# With database and disk both gone, rows wait in memory up to this many; then the oldest go.
MOST_WAITING: Final = 100_000

log = structlog.get_logger("gateway")


class Ledger:
    """Books rows for *database*; *stream* is there when nodes share a state server."""

    def __init__(
        self, database: Database, spill: Spill, stream: "LedgerStream | None" = None
    ) -> None:
        self._database = database
        self._spill = spill
        self._stream = stream
        self._queue: deque[LedgerRow] = deque()
        self._waiting: list[Row] = []
        self._prefix = secrets.token_hex(8)
        self._numbers = count()
        self._wake = asyncio.Event()
        self._closing = False
        self._retry_at = 0.0
        self._outage = False
        self._spilled = True
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        """Count the rows in memory."""
        return len(self._queue) + len(self._waiting)

    def book(self, row: LedgerRow) -> None:
        """Take *row*; never waits, never raises."""
        self._queue.append(row)
        if len(self._queue) >= BATCH_ROWS:
            self._wake.set()

    async def start(self) -> None:
        """Begin to write."""
        self._tasks.append(asyncio.create_task(self._run(self.flush)))
        if self._stream is not None:
            self._tasks.append(asyncio.create_task(self._run(self._drain_stream)))

    async def close(self) -> None:
        """Write what is left, to the spill file if it must be."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)
        await self.flush()
        if self._stream is not None:
            await self._drain_stream()
            await self._stream.close()
        self._spill.seal()

    async def flush(self) -> None:
        """Write what is booked, and what was spilled if the database is there."""
        while self._queue:
            taken = [self._queue.popleft() for _ in range(min(BATCH_ROWS, len(self._queue)))]
            self._waiting += [
                written(f"{self._prefix}-{number:x}", row)
                for number, row in zip(self._numbers, taken, strict=False)
            ]
            await self._store_waiting()
        await self._store_waiting()
        if self._spilled and not self._down():
            await self._replay()

    async def _run(self, step: Callable[[], Awaitable[None]]) -> None:
        while not self._closing:
            try:
                async with asyncio.timeout(INTERVAL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await step()

    async def _store_waiting(self) -> None:
        rows, self._waiting = self._waiting, []
        if not rows or await self._sent(rows) or await self._inserted(rows):
            return
        try:
            await asyncio.to_thread(self._spill.write, rows)
            self._spilled = True
        except OSError as error:
            lost = max(0, len(rows) - MOST_WAITING)
            log.warning("ledger_spill_failed", error=type(error).__name__, lost=lost)
            self._waiting = rows[lost:]

    async def _sent(self, rows: list[Row]) -> bool:
        # The state server's memory is no place to sit out an outage of the database.
        if self._stream is None or self._down():
            return False
        try:
            await self._stream.add(rows)
        except StoreDown:
            return False
        return True

    async def _inserted(self, rows: list[Row]) -> bool:
        """Write *rows* unless the database is down; those that are there already stay."""
        if self._down():
            return False
        try:
            async with (
                asyncio.timeout(WRITE_TIMEOUT_S),
                self._database.writing() as connection,
            ):
                await connection.execute(insert_new(connection, USAGE), rows)
        except DatabaseDown as error:
            self._retry_at = time.monotonic() + RETRY_S
            if not self._outage:
                log.warning("ledger_database_down", reason=told(error))
            self._outage = True
            return False
        if self._outage:
            log.info("ledger_database_back")
        self._outage = False
        return True

    def _down(self) -> bool:
        return time.monotonic() < self._retry_at

    async def _replay(self) -> None:
        """Write the rows of all files that nobody holds."""
        await asyncio.to_thread(self._spill.seal)
        for path in await asyncio.to_thread(self._spill.left_over):
            with claimed(path) as file:
                if file is None:
                    continue
                while (rows := await asyncio.to_thread(read_rows, file, BATCH_ROWS)) is not None:
                    if rows and not await self._inserted(rows):
                        return
                path.unlink(missing_ok=True)
            log.info("ledger_replayed", file=path.name)
        self._spilled = False

    async def _drain_stream(self) -> None:
        """Write what any node sent, until there is nothing more or the database is down."""
        assert self._stream is not None
        try:
            while not self._down() and (entries := await self._stream.take()):
                rows = [row for entry in entries for row in entry.rows]
                if not await self._inserted(rows):
                    return
                await self._stream.done(entries)
        except StoreDown:
            return
