"""The ledger: takes rows in memory, writes them in batches, waits for nobody.

    book -> queue -> stream, if there is a state server -> any node -> database
                  -> database, if not or the stream is down
                  -> spill file, if the database is down -> database, when it is back

Every row gets a key before the first attempt, so that writing it twice changes nothing. Three tasks
run concurrently, so that none waits for another: one empties the queue, one the stream, one the
spill files.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

import structlog

from gateway.database.engine import Database
from gateway.ledger.row import LedgerRow, Row, to_row
from gateway.ledger.spill import Spill, locked, read_rows
from gateway.ledger.writer import RowWriter
from gateway.state.store import StoreDown

if TYPE_CHECKING:
    # Needs the extra [redis].
    from gateway.ledger.stream import LedgerStream

BATCH_ROWS: Final = 500
INTERVAL_S: Final = 1.0
# With database and disk both unavailable, up to this many rows wait in memory; then the oldest are
# dropped.
MOST_WAITING: Final = 100_000

log = structlog.get_logger()


def _nothing() -> None:
    """Do nothing: there is nothing left to book."""


class Ledger:
    """Books rows for *database*; *stream* is given when nodes share a state server.

    *catch_up* books the rows that somebody else still holds back.
    """

    def __init__(
        self, database: Database, spill: Spill, stream: "LedgerStream | None" = None
    ) -> None:
        self.catch_up: Callable[[], None] = _nothing
        self._writer = RowWriter(database)
        self._spill = spill
        # Writing and closing the spill file happen in threads.
        self._spill_turn = asyncio.Lock()
        # Who waits for its turn knows that what others began to write is written.
        self._flush_turn = asyncio.Lock()
        self._drain_turn = asyncio.Lock()
        self._replay_turn = asyncio.Lock()
        self._stream = stream
        self._queue: deque[LedgerRow] = deque()
        self._waiting: list[Row] = []
        self._prefix = secrets.token_hex(8)
        self._numbers = count()
        self._wake = asyncio.Event()
        self._closing = False
        self._spilled = True
        # An outage makes one line, not one per second.
        self._spill_failure = ""
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        """Count the rows in memory."""
        return len(self._queue) + len(self._waiting)

    def book(self, row: LedgerRow) -> None:
        """Queue *row*; never waits, never raises."""
        self._queue.append(row)
        if len(self._queue) >= BATCH_ROWS:
            self._wake.set()

    async def start(self) -> None:
        """Start the writing tasks."""
        steps: list[Callable[[], Awaitable[object]]] = [self.flush, self.replay]
        if self._stream is not None:
            steps.append(self._drain_stream)
        self._tasks += [asyncio.create_task(self._run(step)) for step in steps]

    async def close(self) -> None:
        """Write what is left, to the spill file if necessary; log how many rows are lost."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)
        await self.flush()
        if self._stream is not None:
            await self._drain_stream()
            await self._stream.close()
        await self.replay()
        self._spill.seal()
        if len(self):
            log.error("ledger_rows_lost", rows=len(self))

    async def flush(self) -> None:
        """Write what is booked so far; later rows wait for the next batch.

        Otherwise a busy gateway would write row by row, as some have always arrived since the last
        write.
        """
        async with self._flush_turn:
            self.catch_up()
            remaining = len(self._queue)
            while remaining > 0 and self._queue:
                size = min(BATCH_ROWS, remaining, len(self._queue))
                booked = [self._queue.popleft() for _ in range(size)]
                remaining -= size
                self._waiting += [
                    to_row(f"{self._prefix}-{number:x}", row)
                    for number, row in zip(self._numbers, booked, strict=False)
                ]
                await self._store_waiting()
            await self._store_waiting()

    async def write_all(self) -> bool:
        """Write all rows, those in the stream and on disk too; False while the database takes none.

        Called when the state server is back.
        """
        await self.flush()
        if self._stream is not None:
            self._stream.retry_now()
            await self._drain_stream()
        return await self.replay()

    async def replay(self) -> bool:
        """Write the rows that wait on disk, if any; False while the database accepts none."""
        async with self._replay_turn:
            await self._replay()
        return not self._writer.outage

    async def _run(self, step: Callable[[], Awaitable[object]]) -> None:
        while not self._closing:
            try:
                async with asyncio.timeout(INTERVAL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await step()

    async def _store_waiting(self) -> None:
        rows = self._waiting
        if not rows:
            return
        # During an outage of the database rows go to disk: the state server's memory is no place
        # for them, and a hanging database would hold rows in ours.
        writers = (
            (self._spill_rows, self._writer.write)
            if self._writer.outage
            else (self._send, self._writer.write, self._spill_rows)
        )
        for write in writers:
            if await write(rows):
                # Not earlier: whoever waits for this may be cancelled meanwhile.
                self._waiting = []
                return
        if len(rows) > MOST_WAITING:
            self._waiting = rows[-MOST_WAITING:]
            log.error("ledger_rows_lost", rows=len(rows) - MOST_WAITING)

    async def _send(self, rows: list[Row]) -> bool:
        if self._stream is None:
            return False
        try:
            await self._stream.add(rows)
        except StoreDown:
            return False
        return True

    async def _spill_rows(self, rows: list[Row]) -> bool:
        try:
            async with self._spill_turn:
                # Before the file has any: the thread goes on if this is cancelled.
                self._spilled = True
                await asyncio.to_thread(self._spill.write, rows)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._spill_failure:
                log.warning("ledger_spill_failed", reason=reason)
            self._spill_failure = reason
            return False
        self._spill_failure = ""
        return True

    async def _replay(self) -> None:
        """Write the rows of all files that no process holds, if there are any."""
        if not self._spilled or not self._writer.may_try():
            return
        try:
            # The current file comes last: a long outage makes two files, not one per second.
            if await self._replay_left_over():
                async with self._spill_turn:
                    self._spilled = False
                    await asyncio.to_thread(self._spill.seal)
                self._spilled = not await self._replay_left_over() or self._spilled
        except asyncio.CancelledError:
            self._spilled = True
            raise
        except OSError as error:
            self._spilled = True
            log.warning("ledger_replay_failed", error=type(error).__name__)

    async def _replay_left_over(self) -> bool:
        """Write the rows of one left-over file; tell whether all went well."""
        for path in await asyncio.to_thread(self._spill.leftover_files):
            with locked(path) as file:
                if file is None:
                    continue
                while (rows := await asyncio.to_thread(read_rows, file, BATCH_ROWS)) is not None:
                    if rows and not await self._writer.write(rows):
                        return False
                path.unlink(missing_ok=True)
            log.info("ledger_replayed", file=path.name)
        return True

    async def _drain_stream(self) -> None:
        """Write what any node sent, until there is nothing left or the database is down."""
        assert self._stream is not None
        with suppress(StoreDown):
            async with self._drain_turn:
                while self._writer.may_try() and (entries := await self._stream.take()):
                    rows = [row for entry in entries for row in entry.rows]
                    if rows and not await self._writer.write(rows):
                        return
                    await self._stream.acknowledge(entries)
