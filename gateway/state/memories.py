"""What conversations need for their next turn, even if another process answers it."""

from typing import Final

from gateway.protocols import Memories
from gateway.state.store import ValueStore

# A conversation resumed later than this goes on without its thought signatures.
KEEP_S: Final = 86_400.0
# The version of what dialects remember, to be raised with every change of its form.
FORM: Final = 2


class SharedMemories:
    """Keeps entries in *local* at once and in *store* soon after; asks *store* for missing ones."""

    __slots__ = ("_local", "_store")

    def __init__(self, local: Memories, store: ValueStore) -> None:
        self._local = local
        self._store = store

    def may_know(self, scope: str) -> bool:
        """Tell whether this or another process may have stored something for *scope*."""
        return self._local.may_know(scope) or self._store.may_have_values(scope)

    async def recall(self, scope: str, keys: list[str]) -> dict[str, bytes]:
        """Return those of *keys* that this or another process has stored for *scope*."""
        remembered = await self._local.recall(scope, keys)
        missing = [key for key in keys if key not in remembered]
        if not missing:
            return remembered
        values = await self._store.get([_name(scope, key) for key in missing])
        learned = [(key, value) for key, value in zip(missing, values, strict=True) if value]
        self._local.remember(scope, learned)
        return remembered | dict(learned)

    def remember(self, scope: str, entries: list[tuple[str, bytes]]) -> None:
        """Keep *entries*; never waits."""
        self._local.remember(scope, entries)
        self._store.note_values(scope, KEEP_S)
        for key, value in entries:
            self._store.put(_name(scope, key), value, KEEP_S)


def _name(scope: str, key: str) -> str:
    return f"memory.{FORM}:{scope}:{key}"
