"""Where the bytes of one fetched item go: memory while it is small, a file once it is large."""

import asyncio
import os
import tempfile
from typing import IO

_WRITE_BYTES = 1_048_576


class FileWindow:
    """The bytes of an open file, read slice by slice; nothing of it is held in memory."""

    __slots__ = ("_descriptor", "_size")

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._descriptor = file.fileno()
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        return os.pread(self._descriptor, max(stop - start, 0), start)


class Spool:
    """Takes bytes as they come; above *memory_bytes* they go to an unnamed temporary file."""

    __slots__ = ("_buffer", "_file", "_memory_bytes", "size")

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    @property
    def is_large(self) -> bool:
        """Tell whether the item is above what is held in memory."""
        return self.size > self._memory_bytes

    async def write(self, data: bytes) -> None:
        """Take *data*, in a thread when it goes to the disk."""
        self._buffer += data
        self.size += len(data)
        if self.is_large and len(self._buffer) >= _WRITE_BYTES:
            await asyncio.to_thread(self._flush)

    async def window(self) -> bytes | FileWindow:
        """End the writing and give access to all bytes."""
        if self._file is None:
            data, self._buffer = bytes(self._buffer), bytearray()
            return data
        await asyncio.to_thread(self._flush)
        return FileWindow(self._file, self.size)

    def close(self) -> None:
        """Forget the bytes."""
        self._buffer = bytearray()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="gateway-media-")  # noqa: SIM115 - see close
        self._file.write(self._buffer)
        self._file.flush()
        self._buffer.clear()
