"""Batches of rows on their way over the state server: any node may write for a dead one.

One stream, one consumer group. An entry is a batch; it is taken by one node, and is gone once that
node has written it. What a node took and did not write, another takes over after a while.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from gateway.ledger.spill import Row
from gateway.state.client import Client
from gateway.state.store import StoreDown

GROUP: Final = "writers"
FIELD: Final = "rows"
TIMEOUT_S: Final = 2.0
MOST_ENTRIES: Final = 4
# A node that has not written an entry for so long is taken for dead.
TAKE_OVER_MS: Final = 10_000


class Entry(NamedTuple):
    """One batch and its name in the stream."""

    id: bytes
    rows: list[Row]


class LedgerStream:
    """The stream *key* on *client*'s server, as consumer *name*."""

    __slots__ = ("_client", "_key", "_name", "_ready", "_unwritten", "take_over_ms")

    def __init__(self, client: Client, key: str, name: str) -> None:
        self._client = client
        self._key = key
        self._name = name
        self._ready = False
        self._unwritten = False
        self.take_over_ms = TAKE_OVER_MS

    async def add(self, rows: list[Row]) -> None:
        """Append *rows* as one entry. Raises `StoreDown`."""
        await self._ask("XADD", self._key, "*", FIELD, orjson.dumps(rows))

    async def take(self) -> list[Entry]:
        """Give some entries to be written, also those left by the dead. Raises `StoreDown`."""
        if not self._ready:
            await self._make_group()
        # After a failure the own entries are still held: those first.
        since = "0" if self._unwritten else ">"
        found = await self._ask(
            *("XREADGROUP", "GROUP", GROUP, self._name, "COUNT", MOST_ENTRIES),
            *("STREAMS", self._key, since),
        )
        entries = _entries(_of_stream(found)) or await self._left_behind()
        self._unwritten = bool(entries)
        return entries

    async def done(self, entries: list[Entry]) -> None:
        """Forget *entries*, which are written. Raises `StoreDown`."""
        ids = [entry.id for entry in entries]
        await self._ask("XACK", self._key, GROUP, *ids)
        await self._ask("XDEL", self._key, *ids)
        self._unwritten = False

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def _left_behind(self) -> list[Entry]:
        reply = await self._ask(
            *("XAUTOCLAIM", self._key, GROUP, self._name, self.take_over_ms, "0-0"),
            *("COUNT", MOST_ENTRIES),
        )
        return _entries(reply[1])

    async def _make_group(self) -> None:
        try:
            await self._ask("XGROUP", "CREATE", self._key, GROUP, "0", "MKSTREAM")
        except StoreDown as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._ready = True

    async def _ask(self, *command: Any) -> Any:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                [reply] = await self._client.send([command])
        except TimeoutError:
            raise StoreDown("no answer in time") from None
        if isinstance(reply, Exception):
            # A server that was emptied: the group has to be made again.
            self._ready = self._ready and "NOGROUP" not in str(reply)
            raise StoreDown(f"{type(reply).__name__}: {reply}")
        return reply


def _of_stream(reply: Any) -> Iterable[Any]:
    """Give the entries of the one stream asked for; the reply's form depends on the protocol."""
    if not reply:
        return ()
    found: Iterable[Any] = next(iter(reply.values()))[0] if isinstance(reply, dict) else reply[0][1]
    return found


def _entries(found: Iterable[Any]) -> list[Entry]:
    entries = []
    for id_, fields in found:
        pairs = (
            fields
            if isinstance(fields, dict)
            else dict(zip(fields[::2], fields[1::2], strict=True))
        )
        entries.append(Entry(id_, orjson.loads(pairs[FIELD.encode()])))
    return entries
