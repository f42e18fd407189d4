"""A folder in memory for the life of this process, and the removal of those of killed ones."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

from gateway.settings import ConfigError

PREFIX: Final = "gateway-workers-"
# Files there are never written to a disk, which could block the writer.
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder in it is only for us
# A folder that was just made may not be locked yet.
YOUNG_S: Final = 60.0


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Yield a new folder that nobody else may enter; it is removed afterwards.

    Raises `ConfigError` if there is no place for one.
    """
    with _new_folder() as name:
        owner = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(owner, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(owner)


def _new_folder() -> TemporaryDirectory[str]:
    try:
        parent = MEMORY if os.access(MEMORY, os.W_OK) else Path(gettempdir())
        for leftover in parent.glob(f"{PREFIX}*"):
            _remove_if_left(leftover)
        return TemporaryDirectory(prefix=PREFIX, dir=parent)
    except OSError as error:
        place = f" in {Path(error.filename).parent}" if error.filename else ""
        raise ConfigError(
            f"state.url: cannot make a folder for the workers{place}: {error.strerror}"
        ) from None


def _remove_if_left(folder: Path) -> None:
    """Remove *folder* unless its maker lives: a living one has it locked."""
    # Another process may be removing it, too.
    with suppress(OSError):
        status = folder.lstat()
        if status.st_uid != os.getuid() or time.time() - status.st_mtime < YOUNG_S:
            return
        handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
