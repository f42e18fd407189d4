"""What Gemini looked up for an answer, which it bills besides tokens."""

from collections.abc import Hashable
from typing import Any

from gateway.exchange import Json, Usage


class Lookups:
    """The searches of each candidate: a query counts once, however often it is told of."""

    __slots__ = ("_kinds", "_queries")

    def __init__(self) -> None:
        self._queries: dict[Hashable, set[str]] = {}
        self._kinds: dict[Hashable, set[str]] = {}

    def note(self, index: Hashable, grounding: Any) -> None:
        """Note what *grounding*, a piece of the candidate's `groundingMetadata`, tells of."""
        if type(grounding) is not dict:
            return
        queries = self._queries.setdefault(index, set())
        kinds = self._kinds.setdefault(index, set())
        queries.update(
            query for query in _list(grounding, "webSearchQueries") if type(query) is str
        )
        queries.discard("")
        for chunk in _list(grounding, "groundingChunks"):
            if type(chunk) is dict:
                kinds.update(chunk)

    def count(self, usage: Usage) -> None:
        """Count them in *usage*.

        Queries are of maps where all that was found is; where it is not, Gemini does not tell which
        of them are, and one is.
        """
        for index, queries in self._queries.items():
            kinds = self._kinds[index]
            if "maps" not in kinds:
                usage.searches += len(queries)
            elif "web" not in kinds:
                usage.maps += len(queries) or 1
            else:
                usage.searches += len(queries)
                usage.maps += 1


def _list(grounding: Json, name: str) -> list[Any]:
    value = grounding.get(name)
    return value if type(value) is list else []
