"""The files of an SQLite database, which somebody may move or replace while they are open."""

import errno
import time
from pathlib import Path
from typing import Final

# Modification times are as coarse as the kernel's clock: two changes may share one.
_COARSE_S: Final = 0.1

# Device and inode.
_Identity = tuple[int, int]


class SqliteFile:
    """The database at *path*, with its write-ahead log.

    Who has a file open goes on writing to it after it was deleted or replaced, and all of that is
    lost. So it is opened anew if another one is at *path*, and not used while none is.
    """

    __slots__ = ("_log", "_log_opened", "_main", "_opened")

    def __init__(self, path: str) -> None:
        self._main = Path(path)
        self._log = Path(f"{path}-wal")
        self._opened: _Identity | None = None
        self._log_opened: _Identity | None = None

    def note_opened(self) -> None:
        """Remember which file is at the path now."""
        self._opened = _identity(self._main)

    def is_replaced(self) -> bool:
        """Tell whether another file is there than the one that was opened.

        Raises `OSError` if none is, as opening the path would make an empty one, and while it would
        be spoiled by the log of the old one.
        """
        if self._opened is None:
            return False
        current, log = _identity(self._main), _identity(self._log)
        if current is None:
            raise FileNotFoundError(errno.ENOENT, "the file was deleted or moved away")
        if current == self._opened:
            self._log_opened = log
            return False
        if log is not None and log == self._log_opened:
            name = self._main.name
            reason = f"the file was replaced; delete {name}-wal and {name}-shm of the old one"
            raise FileExistsError(errno.EEXIST, reason)
        return True

    def stamp(self) -> tuple[int, ...] | None:
        """Return a value that changes with every change by anybody; None if it might not."""
        if not (main := _stat(self._main)):
            return None
        stamp = main + _stat(self._log)
        changed_at = max(stamp[2::3]) / 1e9
        return None if time.time() - changed_at < _COARSE_S else stamp


def _identity(file: Path) -> _Identity | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _stat(file: Path) -> tuple[int, ...]:
    """Return inode, size and modification time of *file*; nothing if it does not exist."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
