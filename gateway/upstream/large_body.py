"""A large request body on its way upstream: piece by piece, without another copy of it."""

import asyncio

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

PIECE_BYTES = 65_536


class LargeBody(Payload):
    """Sends *body* in pieces.

    aiohttp sends bytes in one write, which holds up the loop, and a `BytesIO` it copies first.
    """

    _value: bytes

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Give the body as text."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body, letting others run between two pieces."""
        view = memoryview(self._value)
        for start in range(0, len(view), PIECE_BYTES):
            await writer.write(view[start : start + PIECE_BYTES])
            await asyncio.sleep(0)
