"""Holds the bytes of one fetched item: in memory while it is small, in a file once it is large."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO

import structlog

from gateway.errors import Unavailable

_WRITE_BYTES = 1_048_576
_RETRY_AFTER_S = 5.0

log = structlog.get_logger()


class FileWindow:
    """The bytes of an open file, read slice by slice; none of it is held in memory."""

    __slots__ = ("_descriptor", "_size")

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._descriptor = file.fileno()
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        return os.pread(self._descriptor, max(stop - start, 0), start)


def _uncounted(_size: int) -> None:
    """Count nothing."""


class Spool:
    """Takes bytes as they arrive; above *memory_bytes* they go to an unnamed temporary file.

    *hold* counts, as that of `Exchange`, what is in memory.
    """

    __slots__ = ("_buffer", "_file", "_held", "_hold", "_is_closed", "_memory_bytes", "size")

    def __init__(self, memory_bytes: int, hold: Callable[[int], None] = _uncounted) -> None:
        self._memory_bytes = memory_bytes
        self._hold = hold
        self._held = 0
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self._is_closed = False
        self.size = 0

    @property
    def is_large(self) -> bool:
        """Tell whether the item is larger than what is held in memory."""
        return self.size > self._memory_bytes

    async def write(self, data: bytes) -> None:
        """Take *data*, in a thread when it goes to disk.

        Raises `Unavailable` when neither memory nor disk has room for it.
        """
        self.size += len(data)
        if not self.is_large:
            self._hold(len(data))
            self._held += len(data)
        self._buffer += data
        if self.is_large and len(self._buffer) >= _WRITE_BYTES:
            await self._to_disk()

    async def window(self) -> bytes | FileWindow:
        """End the writing; return a window on all bytes. Raises `Unavailable` as `write` does."""
        if self._file is None:
            data, self._buffer = bytes(self._buffer), bytearray()
            return data
        await self._to_disk()
        return FileWindow(self._file, self.size)

    def close(self) -> None:
        """Discard the bytes."""
        self._is_closed = True
        self._buffer = bytearray()
        if self._file is not None:
            # Closing tries once more to write what could not be written.
            with suppress(OSError):
                self._file.close()

    async def _to_disk(self) -> None:
        try:
            await asyncio.to_thread(self._flush)
        except OSError as error:
            # A full disk is the operator's problem; what comes from a URL is the client's.
            log.warning("media_not_spooled", reason=error.strerror or type(error).__name__)
            message = "The gateway has no disk space for this media item now."
            raise Unavailable(message, retry_after=_RETRY_AFTER_S) from None
        self._hold(-self._held)
        self._held = 0

    def _flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="gateway-media-")  # noqa: SIM115 - see close
        self._file.write(self._buffer)
        self._file.flush()
        self._buffer.clear()
        if self._is_closed:
            # The writer has left meanwhile; a thread cannot be cancelled.
            self._file.close()
