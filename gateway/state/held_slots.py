"""The concurrency slots that one process holds on the server."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from gateway.state.batcher import Command


class HeldSlots:
    """Slots by license; *node* names this process among those that share the server."""

    __slots__ = ("_given", "_held", "_unfreed", "node")

    def __init__(self) -> None:
        self.node = uuid4().hex[:12]
        self._given = 0
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        # By key: slots that were given back while the server did not answer.
        self._unfreed: defaultdict[Any, set[Any]] = defaultdict(set)

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

    def note_unfreed(self, commands: tuple[Command, ...]) -> None:
        """Remember the slots given back by *commands* that may not have reached the server."""
        for name, *words in commands:
            if name == "ZREM":
                self._unfreed[words[0]].update(words[1:])
            elif name == "EVALSHA" and (slot := words[-2]):
                self._unfreed[words[3]].add(slot)

    def pop_unfreed(self) -> Iterable[tuple[Any, set[Any]]]:
        """Return each key with the slots to be given back once more, and forget them."""
        unfreed, self._unfreed = self._unfreed, defaultdict(set)
        return unfreed.items()
