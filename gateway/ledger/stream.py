"""Batches of rows sent over the state server: any node may write those of a dead one.

One stream, one consumer group. An entry is a batch; one node takes it, and it is gone once that
node has written it. An entry that a node took but did not write is taken over by another after a
while; nodes that were not seen for longer, and left nothing, are removed from the group.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, NamedTuple

import orjson
import structlog

from gateway.ledger.row import Row, from_stored
from gateway.state.batcher import Command
from gateway.state.client import Client
from gateway.state.store import StoreDown

GROUP: Final = "writers"
FIELD: Final = "rows"
TIMEOUT_S: Final = 2.0
# A server that did not answer in time is left alone this long: a stop asks it several things, and
# waits once.
RETRY_S: Final = 1.0
MOST_ENTRIES: Final = 4
# A node that has not written an entry for this long is taken for dead.
TAKE_OVER_MS: Final = 10_000
# Every process is a consumer with its own name, so those of dead ones would pile up.
STRIKE_OFF_MS: Final = 60_000
STRIKE_OFF_EVERY_S: Final = 30.0
# In one step, because removing a consumer forgets what it holds.
STRIKE_OFF: Final = """
for _, words in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #words, 2 do consumer[words[i]] = words[i + 1] end
  local named = ARGV[2] == '' or ARGV[2] == consumer.name
  if named and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
  end
end
return 0
"""

log = structlog.get_logger()


class Entry(NamedTuple):
    """One batch and its name in the stream."""

    id: bytes
    rows: list[Row]


class LedgerStream:
    """The stream *key* on the server of *client*, as consumer *name*."""

    __slots__ = (
        "_client",
        "_cursor",
        "_has_group",
        "_has_unwritten",
        "_key",
        "_name",
        "_retry_at",
        "_strike_off_at",
        "strike_off_ms",
        "take_over_ms",
    )

    def __init__(self, client: Client, key: str, name: str) -> None:
        self._client = client
        self._key = key
        self._name = name
        self._has_group = False
        self._has_unwritten = False
        self._cursor: bytes | str = "0-0"
        self._strike_off_at = 0.0
        self._retry_at = 0.0
        self.take_over_ms = TAKE_OVER_MS
        self.strike_off_ms = STRIKE_OFF_MS

    async def add(self, rows: list[Row]) -> None:
        """Append *rows* as one entry. Raises `StoreDown`."""
        await self._execute(("XADD", self._key, "*", FIELD, orjson.dumps(rows)))

    async def take(self) -> list[Entry]:
        """Return some entries to be written, also those left by dead nodes. Raises `StoreDown`."""
        if not self._has_group:
            await self._make_group()
        if time.monotonic() >= self._strike_off_at:
            await self._strike_off()
        with self._client.checking_replies():
            # After a failure this node still holds entries: those come first.
            entries = await self._read("0") if self._has_unwritten else []
            entries = entries or await self._read(">") or await self._claim_abandoned()
        self._has_unwritten = bool(entries)
        return entries

    async def acknowledge(self, entries: list[Entry]) -> None:
        """Delete *entries*, which are written. Raises `StoreDown`."""
        ids = [entry.id for entry in entries]
        await self._execute(("XACK", self._key, GROUP, *ids), ("XDEL", self._key, *ids))
        self._has_unwritten = False

    def retry_now(self) -> None:
        """Ask the server again, however short ago it did not answer: it is back."""
        self._retry_at = 0.0

    async def close(self) -> None:
        """Leave the group, unless entries are still held, and disconnect."""
        with suppress(StoreDown):
            await self._execute(("EVAL", STRIKE_OFF, 1, self._key, GROUP, self._name, 0))
        await self._client.close()

    async def _read(self, start: str) -> list[Entry]:
        # If the reply is lost, this node holds its entries all the same.
        self._has_unwritten = True
        [reply] = await self._execute(
            (
                *("XREADGROUP", "GROUP", GROUP, self._name, "COUNT", MOST_ENTRIES),
                *("STREAMS", self._key, start),
            )
        )
        return _entries(_of_stream(reply))

    async def _claim_abandoned(self) -> list[Entry]:
        """Take over entries that others hold for too long; one call examines a part of them."""
        [(self._cursor, claimed, *_)] = await self._execute(
            (
                *("XAUTOCLAIM", self._key, GROUP, self._name, self.take_over_ms, self._cursor),
                *("COUNT", MOST_ENTRIES),
            )
        )
        return _entries(claimed)

    async def _strike_off(self) -> None:
        await self._execute(("EVAL", STRIKE_OFF, 1, self._key, GROUP, "", self.strike_off_ms))
        self._strike_off_at = time.monotonic() + STRIKE_OFF_EVERY_S

    async def _make_group(self) -> None:
        try:
            await self._execute(("XGROUP", "CREATE", self._key, GROUP, "0", "MKSTREAM"))
        except StoreDown as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._has_group = True

    async def _execute(self, *commands: Command) -> list[Any]:
        """Return the replies to *commands*. Raises `StoreDown`, also if one is refused."""
        if time.monotonic() < self._retry_at:
            raise StoreDown("no answer a moment ago")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                replies = await self._client.send(list(commands))
        except TimeoutError:
            self._retry_at = time.monotonic() + RETRY_S
            raise StoreDown("no answer in time") from None
        for reply in replies:
            if isinstance(reply, Exception):
                # The server was emptied: the group has to be made again.
                self._has_group = self._has_group and "NOGROUP" not in str(reply)
                raise StoreDown(f"{type(reply).__name__}: {reply}")
        return replies


def _of_stream(reply: Any) -> Iterable[Any]:
    """Return the entries of the requested stream; the reply's form depends on the protocol."""
    if not reply:
        return ()
    entries: Iterable[Any] = (
        next(iter(reply.values()))[0] if isinstance(reply, dict) else reply[0][1]
    )
    return entries


def _entries(entries: Iterable[Any]) -> list[Entry]:
    return [Entry(id_, _rows(fields)) for id_, fields in entries]


def _rows(fields: Any) -> list[Row]:
    """Return the rows of one entry; none if it is gone or another program wrote it."""
    if not fields:
        return []
    pairs = (
        fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    )
    try:
        rows = orjson.loads(pairs.get(FIELD.encode(), b""))
    except orjson.JSONDecodeError:
        rows = None
    if not isinstance(rows, list):
        log.warning("ledger_entry_unreadable")
        return []
    return [restored for row in rows if (restored := from_stored(row)) is not None]
