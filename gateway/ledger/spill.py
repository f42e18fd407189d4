"""Rows that the database does not accept now, in files on this machine until it does.

Each process appends to files of its own, one JSON object per line, and holds a lock on the one it
writes. A file that nobody holds is left over, perhaps from a killed process, and the first process
to find it writes its rows to the database. All functions block; call them in a thread.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO

import orjson

from gateway.ledger.row import Row, from_stored


class Spill:
    """Files in *folder*, which is created when needed; names of own ones begin with *owner*."""

    __slots__ = ("_file", "_folder", "_numbers", "_owner")

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._owner = owner
        self._numbers = count(1)
        self._file: BinaryIO | None = None

    def write(self, rows: list[Row]) -> None:
        """Append *rows* and flush them to the system, so that killing the process loses none."""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._open_locked()
        lines = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        size = os.fstat(self._file.fileno()).st_size
        size_written = self._file.write(lines)
        if size_written != len(lines):
            # The disk may be full: either all rows are written, or none.
            self._file.truncate(size)
            raise OSError("the spill file cannot be written")

    def _open_locked(self) -> BinaryIO:
        """Return a new, locked file."""
        while True:
            path = self._folder / f"{self._owner}-{next(self._numbers)}.jsonl"
            file = path.open("ab", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have found it before it was locked, and removed it as an empty
            # one.
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()

    def seal(self) -> None:
        """Release the file being written, so that it may be read back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def leftover_files(self) -> list[Path]:
        """Return the files that may hold rows, the oldest first. Raises `OSError`."""
        if not self._folder.exists():
            return []
        aged_files = []
        for path in self._folder.glob("*.jsonl"):
            # Another process may have replayed and removed one by now.
            with suppress(FileNotFoundError):
                aged_files.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(aged_files)]


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO | None]:
    """Lock the file at *path* inside the context; yields None if that fails or it is gone."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file
        return
    yield None


def read_rows(file: BinaryIO, most: int) -> list[Row] | None:
    """Return the rows of the next *most* lines of *file*; None at its end.

    Lines that are no rows, such as a last one that a crash cut, are skipped.
    """
    lines = list(islice(file, most))
    return [row for line in lines if (row := _row(line)) is not None] if lines else None


def _row(line: bytes) -> Row | None:
    try:
        return from_stored(orjson.loads(line))
    except orjson.JSONDecodeError:
        return None
