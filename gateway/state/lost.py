"""The settlements that did not reach the server, to be sent once more when it answers."""

from collections import defaultdict
from typing import Any

from gateway.state.batcher import MAX_QUEUE, Command


class LostSettlements:
    """Remembers lost commands that settle a grant or give back a slot, and forgets all others.

    What was never executed is sent again as it is. What may have been executed must not be counted
    twice, so that only its slot is given back again.
    """

    __slots__ = ("_never_done", "_slots")

    def __init__(self) -> None:
        self._never_done: list[Command] = []
        # By key.
        self._slots: defaultdict[Any, set[Any]] = defaultdict(set)

    def note(self, commands: tuple[Command, ...], may_be_done: bool) -> None:  # noqa: FBT001 - `OnLost`
        """Remember *commands*, which nobody awaited."""
        for command in commands:
            name, *words = command
            if name == "ZREM":
                self._slots[words[0]].update(words[1:])
            elif name != "EVALSHA":
                continue
            elif not may_be_done and len(self._never_done) < MAX_QUEUE:
                self._never_done.append(command)
            else:
                # As `ValkeyStore` sends it: script, count of keys, both keys, slot, request.
                _, _, _, slots_key, slot, _ = words
                if slot:
                    self._slots[slots_key].add(slot)

    def pop(self) -> list[Command]:
        """Return the commands to send now, and forget them."""
        slots, self._slots = self._slots, defaultdict(set)
        never_done, self._never_done = self._never_done, []
        return [*(("ZREM", key, *given_back) for key, given_back in slots.items()), *never_done]
