"""Reads the files of the configuration."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

# Stands for an empty file.
_NULL: Final = Path(os.devnull).stat()


def content(path: Path) -> bytes:
    """Return what the file at *path* contains; it must be one that can be read again.

    A pipe is empty the second time, and opening one waits for a writer: a reload would lose the
    licenses, or hang. Raises `OSError`.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) and not os.path.samestat(status, _NULL):
            raise OSError(errno.EINVAL, "it is a pipe or a device, which a reload cannot read")
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
