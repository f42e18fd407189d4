"""Memories kept in the process: what the next turn of a conversation needs from this one."""

from collections import Counter, OrderedDict

_OVERHEAD = 200


class LocalMemories:
    """The most recently used entries, bounded by *max_entries* and *max_bytes*.

    One entry may take a quarter of all bytes; a larger one is not kept. Scopes are isolated from
    one another.
    """

    __slots__ = ("_bytes", "_counts", "_entries", "_max_bytes", "_max_entries")

    def __init__(self, max_entries: int = 100_000, max_bytes: int = 134_217_728) -> None:
        self._entries: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        # The number of entries of each scope: many licenses use models that leave none.
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes

    def may_know(self, scope: str) -> bool:
        """Tell whether *scope* has entries."""
        return scope in self._counts

    async def recall(self, scope: str, keys: list[str]) -> dict[str, bytes]:
        """Return those of *keys* that are known in *scope*."""
        values = {}
        for key in keys:
            value = self._entries.get((scope, key))
            if value is not None:
                self._entries.move_to_end((scope, key))
                values[key] = value
        return values

    def remember(self, scope: str, entries: list[tuple[str, bytes]]) -> None:
        """Keep *entries*; evict the least recently used ones where there is no room."""
        for key, value in entries:
            self._forget((scope, key))
            if _size((scope, key), value) <= self._max_bytes // 4:
                self._entries[scope, key] = value
                self._counts[scope] += 1
                self._bytes += _size((scope, key), value)
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._forget(next(iter(self._entries)))

    def _forget(self, key: tuple[str, str]) -> None:
        value = self._entries.pop(key, None)
        if value is not None:
            self._bytes -= _size(key, value)
            self._counts[key[0]] -= 1
            if not self._counts[key[0]]:
                del self._counts[key[0]]


def _size(key: tuple[str, str], value: bytes) -> int:
    return len(key[0]) + len(key[1]) + len(value) + _OVERHEAD
