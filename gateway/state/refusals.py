"""Features that models refuse, learned by one process and shared with all."""

from gateway.healing import REMEMBER_S, LearnedRefusals
from gateway.state.store import StateStore


class SharedRefusals:
    """Learns into *local* and tells the other processes through *store*."""

    __slots__ = ("_local", "_publish")

    def __init__(self, local: LearnedRefusals, store: StateStore) -> None:
        self._local = local
        self._publish = store.table("refusals", self._hear)

    def of(self, model: str) -> frozenset[str]:
        """Return the names of the features that *model* refuses."""
        return self._local.of(model)

    def learn(self, model: str, feature: str) -> None:
        """Remember that *model* refuses *feature*, in all processes."""
        self._local.learn(model, feature)
        self._publish(f"{model} {feature}", b"", REMEMBER_S)

    def _hear(self, key: str, _value: bytes, left_s: float) -> None:
        model, _, feature = key.rpartition(" ")
        self._local.learn(model, feature, left_s)
