"""A bounded cache of values that expire."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_VALUES: Final = 20_000
MAX_BYTES: Final = 67_108_864


class LocalValues:
    """Keeps the most recently used values, up to a number and a total size."""

    __slots__ = ("_bytes", "_clock", "_values")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bytes = 0
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """Return the value of *key* unless it has expired."""
        value, until = self._values.get(key, (None, 0.0))
        if value is None or until <= self._clock():
            self.drop(key)
            return None
        self._values.move_to_end(key)
        return value

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep *value* for *ttl_s* seconds, and evict the least recently used ones."""
        self.drop(key)
        self._values[key] = value, self._clock() + ttl_s
        self._bytes += len(value)
        while len(self._values) > MAX_VALUES or self._bytes > MAX_BYTES:
            self.drop(next(iter(self._values)))

    def drop(self, key: str) -> None:
        """Forget *key*, if it is known."""
        value, _ = self._values.pop(key, (b"", 0.0))
        self._bytes -= len(value)
