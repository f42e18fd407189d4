"""Keeps the book in step with the database, by its revision.

The revision in a file that nobody has written to since the last time is not even read. While the
database is down the book stays as it is, up to `license_max_stale_s`; then the licenses of the
database cannot be judged, as a revoked one could not be recognised.
"""

import asyncio
import time

import structlog

from gateway.database.engine import Database, DatabaseDown, error_text
from gateway.licenses.book import Book
from gateway.licenses.pepper import WrongPepper
from gateway.licenses.store import LicenseStore

# A local file is checked more often: a revoked license must be refused at once.
FILE_INTERVAL_S = 0.25
SERVER_INTERVAL_S = 1.0
LOOK_TIMEOUT_S = 10.0

log = structlog.get_logger()


class LicenseWatch:
    """Fills *book* from *store* while it is started."""

    def __init__(
        self, database: Database, store: LicenseStore, book: Book, max_stale_s: float
    ) -> None:
        self.max_stale_s = max_stale_s
        self._database = database
        self._store = store
        self._book = book
        self._interval_s = FILE_INTERVAL_S if database.is_sqlite else SERVER_INTERVAL_S
        self._migrated = False
        self._times_replaced = 0
        self._revision = -1
        self._stamp: tuple[int, ...] | None = None
        self._seen_at: float | None = None
        self._logged_reason = ""
        self._task: asyncio.Task[None] | None = None

    def has_read(self) -> bool:
        """Tell whether the licenses of the database were ever read."""
        return self._seen_at is not None

    async def check(self) -> str | None:
        """Return the reason why licenses of the database cannot be judged, or None."""
        if self._seen_at is not None and self._age() <= self.max_stale_s:
            return None
        return "the licenses cannot be read from the database"

    async def start(self) -> None:
        """Read for the first time and continue in the background; a dead database is no error."""
        await self.refresh()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Apply what changed since the last time."""
        # Taken before reading, so that changes made meanwhile are seen the next time.
        stamp = self._database.stamp()
        if stamp is not None and stamp == self._stamp:
            self._seen_at = time.monotonic()
            return
        self._stamp = None
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                await self._take_over()
        except DatabaseDown as error:
            self._note_failure(error_text(error))
        except WrongPepper as error:
            self._note_failure(str(error))
        except Exception as error:
            # If this ended the watch, revocations would go unseen.
            reason = f"the licenses cannot be read: {type(error).__name__}"
            if reason != self._logged_reason:
                log.exception("licenses_unreadable", exc_info=error)
            self._note_failure(reason)
        else:
            self._stamp = stamp
            self._seen_at = time.monotonic()
            if self._logged_reason:
                log.info("database_back")
            self._logged_reason = ""

    async def _take_over(self) -> None:
        times_replaced = await self._database.times_replaced()
        if times_replaced != self._times_replaced:
            self._times_replaced = times_replaced
            self._migrated, self._revision = False, -1
        if not self._migrated:
            if await self._database.migrate():
                log.warning("database_newer")
            self._migrated = True
        if await self._store.revision() != self._revision:
            loaded = await self._store.load()
            self._book.replace_keyed(loaded.pepper, loaded.licenses)
            self._revision = loaded.revision

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.refresh()

    def _note_failure(self, reason: str) -> None:
        if reason != self._logged_reason:
            log.error("database_down", reason=reason)
        self._logged_reason = reason
        if self._seen_at is None or self._age() > self.max_stale_s:
            if self._revision != -1:
                log.error("licenses_stale", after_s=self.max_stale_s)
            self._book.suspend()
            # Whatever it is by then, everything is read again.
            self._revision = -1

    def _age(self) -> float:
        return time.monotonic() - (self._seen_at or 0.0)
