"""A small table of which every process holds a copy: what one learns, the others are told.

For data that is read far more often than it changes: cool-downs, features that a model refuses.
Each entry is a field of one hash, its value preceded by the time it expires.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.state.batcher import Batcher
from gateway.state.store import News

# A hash that nobody writes to expires after this; an entry may be valid for as long.
LONGEST_S: Final = 2_678_400


class RemoteTable:
    """One table on the server; *now* returns the server's time in Unix seconds."""

    __slots__ = ("_batcher", "_entries", "_key", "_news", "_now")

    def __init__(self, key: str, batcher: Batcher, news: News, now: Callable[[], float]) -> None:
        self._key = key
        self._batcher = batcher
        self._news = news
        self._now = now
        self._entries: dict[bytes, bytes] = {}

    def publish(self, key: str, value: bytes, ttl_s: float) -> None:
        """Tell the others that *key* is *value* for *ttl_s* seconds; never waits."""
        field = key.encode()
        entry = b"%d %b" % (round((self._now() + ttl_s) * 1000), value)
        self._entries[field] = entry
        self._batcher.tell(("HSET", self._key, field, entry), ("EXPIRE", self._key, LONGEST_S))

    async def pull(self) -> None:
        """Receive what changed since the last time, and delete what has expired."""
        [flat] = await self._batcher.ask(("HGETALL", self._key))
        entries = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        now_ms = self._now() * 1000
        expired = []
        for field, entry in entries.items():
            until_ms, _, value = entry.partition(b" ")
            # Entries in another version's form are left to that version.
            with suppress(ValueError):
                left_s = (int(until_ms) - now_ms) / 1000
                if left_s <= 0:
                    expired.append(field)
                elif self._entries.get(field) != entry:
                    self._news(field.decode(), value, left_s)
        self._entries = entries
        if expired:
            self._batcher.tell(("HDEL", self._key, *expired))
