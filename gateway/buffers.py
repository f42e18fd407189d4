"""The memory for bodies and fetched media, divided among requests and licenses."""

from dataclasses import dataclass

from gateway.errors import Unavailable

# A request that takes no more than this is served whatever others take: large requests must not
# keep everybody else out.
ALWAYS_HELD_BYTES = 65_536
# Several large requests of one license may take this many times what they leave free, four fifths
# of everything if no other license takes any: whoever comes next finds room, and nothing is kept
# idle for those who never come. Switches share the memory of their ports in this way.
MOST_OF_FREE = 4
_RETRY_S = 1.0


@dataclass(slots=True)
class Share:
    """What one request of the license *license_id* takes: *size* bytes."""

    license_id: str
    size: int = 0


class Buffers:
    """Counts what requests hold, at most *max_bytes* together. No I/O, never waits."""

    __slots__ = ("_by_license", "_max_bytes", "size")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # Of large requests only: small ones, nearly all, cost no look-up.
        self._by_license: dict[str, int] = {}
        self.size = 0

    def hold(self, share: Share, size: int) -> None:
        """Add *size* bytes to *share*; negative ones are no longer held.

        Raises `Unavailable` where all requests, or those of the license, hold too much already.
        """
        held = share.size + size
        if held > ALWAYS_HELD_BYTES or share.size > ALWAYS_HELD_BYTES:
            self._count_large(share, held)
        share.size = held
        self.size += size

    def release(self, share: Share) -> None:
        """Free all that *share* holds; again does nothing."""
        if share.size > ALWAYS_HELD_BYTES:
            self._count_large(share, 0)
        self.size -= share.size
        share.size = 0

    def _count_large(self, share: Share, held: int) -> None:
        others = self._by_license.get(share.license_id, 0) - _if_large(share.size)
        if held > share.size:
            self._require_room(share, held, others)
        of_license = others + _if_large(held)
        if of_license:
            self._by_license[share.license_id] = of_license
        else:
            self._by_license.pop(share.license_id, None)

    def _require_room(self, share: Share, held: int, others: int) -> None:
        free = self._max_bytes - (self.size + held - share.size)
        if free < 0:
            raise Unavailable("Too many large requests at once; try again.", retry_after=_RETRY_S)
        # A license's only large request may take all there is.
        if others and others + held > MOST_OF_FREE * free:
            raise Unavailable(
                "Too many large requests of this license at once; try again.",
                retry_after=_RETRY_S,
            )


def _if_large(size: int) -> int:
    return size if size > ALWAYS_HELD_BYTES else 0
