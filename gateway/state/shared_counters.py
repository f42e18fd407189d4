"""Counters in memory that the workers of one machine share: a file mapped by all of them.

After a header comes a record for each license, appended on its first use: its key, how much of each
limit is used and since when, until when values of it are kept elsewhere, and how many slots each
worker holds. In the latter every worker has a column for as long as it lives.

Locks are the kernel's record locks, tried but never waited for: they end with the process that
holds them, however it ends. They do not exclude two users within one process, and are lost once
anything in the process closes the file.
"""

import fcntl
import math
import os
import time
from collections.abc import Mapping
from hashlib import blake2b
from mmap import mmap
from pathlib import Path
from struct import Struct
from typing import Final

from gateway.state.meters import Meter
from gateway.state.rules import PLACES, SLOTS_LIMIT
from gateway.state.store import StoreDown

# Only records in use take memory.
MOST_LICENSES: Final = 1 << 18
CLAIM_TIMEOUT_S: Final = 2.0

_KEY_BYTES: Final = 16
# The number of columns, and of records in use.
_HEADER: Final = Struct("<qq")
# Above every column's number, so that locks do not overlap.
_RECORDS_AT: Final = 4_096
# How much of a limit is used, and since when; slots are counted per column.
_COUNTER: Final = Struct("<dd")
_COUNTER_AT: Final = {
    limit: _KEY_BYTES + (place - 1) * _COUNTER.size for limit, place in PLACES.items() if place
}
_UNTIL: Final = Struct("<d")
_SLOT_COUNT: Final = Struct("<q")
_UNTIL_AT: Final = _KEY_BYTES + len(_COUNTER_AT) * _COUNTER.size
_SLOTS_AT: Final = _UNTIL_AT + _UNTIL.size
# The meaning of the file's bytes as locks: the list of records, the columns, each record.
_LIST: Final = 0
_COLUMNS: Final = 1


def create(path: Path, columns: int) -> None:
    """Create the file at *path* for up to *columns* workers."""
    path.write_bytes(_HEADER.pack(columns, 0))
    os.truncate(path, _RECORDS_AT + MOST_LICENSES * _record_bytes(columns))


def _record_bytes(columns: int) -> int:
    return _SLOTS_AT + columns * _SLOT_COUNT.size


class SharedCounters:
    """The counters in the file at *path*, made by `create`; one object per process.

    Raises `StoreDown` if no column becomes free.
    """

    __slots__ = (
        "_bytes",
        "_columns",
        "_fd",
        "_memory",
        "_offsets",
        "_offsets_by_key",
        "_own_column",
    )

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR)
        self._memory = mmap(self._fd, 0)
        self._columns: int = _HEADER.unpack_from(self._memory)[0]
        self._bytes = _record_bytes(self._columns)
        # The offsets of the records that this process knows, by key and by license id.
        self._offsets_by_key: dict[bytes, int] = {}
        self._offsets: dict[str, int] = {}
        self._own_column = self._claim_column()

    def close(self) -> None:
        """Release the column and all locks."""
        self._empty(self._own_column)
        self._memory.close()
        os.close(self._fd)

    def offset(self, license_id: str) -> int | None:
        """Return the offset of the record of *license_id*; None while someone else looks one up.

        Raises `StoreDown` if there is no room for another record.
        """
        return self._offsets.get(license_id) or self._look_up(license_id)

    def lock(self, offset: int) -> bool:
        """Lock the item at *offset*, a record or another; False while someone else has it."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except OSError:
            return False
        return True

    def unlock(self, offset: int) -> None:
        """Unlock the item at *offset*."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, offset)

    def record(self, license_id: str, meters: Mapping[str, Meter]) -> "Record | None":
        """Return the record of *license_id* for *meters*, by names of `Limits`; see `offset`."""
        offset = self.offset(license_id)
        if offset is None:
            return None
        own = offset + _SLOTS_AT + self._own_column * _SLOT_COUNT.size
        return Record(self._fd, self._memory, (offset, own), self._columns, meters)

    def keep_until(self, license_id: str, unix: float) -> bool:
        """Note until when values of *license_id* are kept; False if that is not possible now."""
        offset = self.offset(license_id)
        if offset is not None:
            _UNTIL.pack_into(self._memory, offset + _UNTIL_AT, unix)
        return offset is not None

    def kept_until(self, license_id: str) -> float:
        """Return until when values of *license_id* are kept; infinity if unknown."""
        offset = self._offsets.get(license_id)
        if offset is None:
            return math.inf
        until: float = _UNTIL.unpack_from(self._memory, offset + _UNTIL_AT)[0]
        return until

    def free_slots_of_the_dead(self) -> None:
        """Free the slots of workers that ended without doing so."""
        for column in range(self._columns):
            if column != self._own_column and self.lock(_COLUMNS + column):
                self._empty(column)
                self.unlock(_COLUMNS + column)

    def _claim_column(self) -> int:
        """Return an empty column for this process."""
        deadline = time.monotonic() + CLAIM_TIMEOUT_S
        while time.monotonic() < deadline:
            for column in range(self._columns):
                if self.lock(_COLUMNS + column):
                    self._empty(column)
                    return column
            # Another worker is checking whether the last owner is dead.
            time.sleep(0.01)
        raise StoreDown("more processes than workers share the counters")

    def _empty(self, column: int) -> None:
        for number in range(self._count()):
            at = self._record_offset(number) + _SLOTS_AT + column * _SLOT_COUNT.size
            _SLOT_COUNT.pack_into(self._memory, at, 0)

    def _look_up(self, license_id: str) -> int | None:
        """Return the offset of a record, a new one if necessary; None while someone else looks."""
        if not self.lock(_LIST):
            return None
        try:
            key = blake2b(license_id.encode(), digest_size=_KEY_BYTES).digest()
            for number in range(len(self._offsets_by_key), self._count()):
                offset = self._record_offset(number)
                self._offsets_by_key[self._memory[offset : offset + _KEY_BYTES]] = offset
            offset = self._offsets_by_key.get(key) or self._append(key)
            self._offsets[license_id] = offset
            return offset
        finally:
            self.unlock(_LIST)

    def _append(self, key: bytes) -> int:
        number = len(self._offsets_by_key)
        if number >= MOST_LICENSES:
            raise StoreDown(f"more than {MOST_LICENSES} licenses were counted")
        offset = self._record_offset(number)
        try:
            # Writing when the system is out of memory would kill the process.
            os.posix_fallocate(self._fd, offset, self._bytes)
        except OSError as error:
            raise StoreDown(f"no memory for counters: {error.strerror}") from None
        self._memory[offset : offset + _KEY_BYTES] = key
        _HEADER.pack_into(self._memory, 0, self._columns, number + 1)
        self._offsets_by_key[key] = offset
        return offset

    def _record_offset(self, number: int) -> int:
        return _RECORDS_AT + number * self._bytes

    def _count(self) -> int:
        count: int = _HEADER.unpack_from(self._memory)[1]
        return count


class Record:
    """The counts of one license; its *meters* show them while the record is entered.

    *offsets* are those of the record and of this process's slots in it.
    """

    __slots__ = (
        "_columns",
        "_fd",
        "_memory",
        "_meters",
        "_offset",
        "_own_slots_offset",
        "_slots",
        "_slots_before",
    )

    def __init__(
        self,
        fd: int,
        memory: mmap,
        offsets: tuple[int, int],
        columns: int,
        meters: Mapping[str, Meter],
    ) -> None:
        self._fd = fd
        self._memory = memory
        self._offset, self._own_slots_offset = offsets
        self._columns = Struct(f"<{columns}q")
        self._slots = meters.get(SLOTS_LIMIT, Meter())
        self._meters = [
            (meter, self._offset + _COUNTER_AT[limit])
            for limit, meter in meters.items()
            if limit != SLOTS_LIMIT
        ]
        self._slots_before = 0

    def enter(self) -> bool:
        """Lock the record and load the meters from it; False while another process has it."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._offset)
        except OSError:
            return False
        memory = self._memory
        for meter, at in self._meters:
            meter.used, meter.since = _COUNTER.unpack_from(memory, at)
        slots = sum(self._columns.unpack_from(memory, self._offset + _SLOTS_AT))
        self._slots.used = self._slots_before = slots
        return True

    def leave(self) -> None:
        """Write the meters back, and unlock."""
        memory = self._memory
        for meter, at in self._meters:
            _COUNTER.pack_into(memory, at, meter.used, meter.since)
        more = int(self._slots.used) - self._slots_before
        if more:
            _SLOT_COUNT.pack_into(
                memory,
                self._own_slots_offset,
                _SLOT_COUNT.unpack_from(memory, self._own_slots_offset)[0] + more,
            )
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._offset)
