"""The concurrency slots that one process holds on the server."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import uuid4


class HeldSlots:
    """Slots by license; *node* names this process among those that share the server."""

    __slots__ = ("_given", "_held", "node")

    def __init__(self) -> None:
        self.node = uuid4().hex[:12]
        self._given = 0
        self._held: defaultdict[str, set[str]] = defaultdict(set)

    def new(self) -> str:
        """Return a name for a slot that no process has used before."""
        self._given += 1
        return f"{self.node}:{self._given}"

    def hold(self, license_id: str, slot: str) -> None:
        """Note that *slot* was taken."""
        self._held[license_id].add(slot)

    def release(self, license_id: str, slot: str) -> None:
        """Forget *slot*, which is given back."""
        slots = self._held[license_id]
        slots.discard(slot)
        if not slots:
            del self._held[license_id]

    def held(self) -> Iterable[tuple[str, set[str]]]:
        """Return each license with its slots."""
        return self._held.items()
