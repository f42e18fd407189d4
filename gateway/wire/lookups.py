"""What Gemini looked up for an answer, which it bills in addition to tokens."""

from collections.abc import Hashable
from typing import Any

from gateway.exchange import Json, Usage


class Lookups:
    """The searches of each candidate: a query counts once, however often it is repeated."""

    __slots__ = ("_kinds", "_pictures", "_queries")

    def __init__(self) -> None:
        self._queries: dict[Hashable, set[str]] = {}
        self._pictures: set[tuple[Hashable, str]] = set()
        self._kinds: dict[Hashable, set[str]] = {}

    def note(self, index: Hashable, grounding: Any) -> None:
        """Note the searches in *grounding*, a piece of the candidate's `groundingMetadata`."""
        if type(grounding) is not dict:
            return
        queries = self._queries.setdefault(index, set())
        kinds = self._kinds.setdefault(index, set())
        queries.update(_words(grounding, "webSearchQueries"))
        self._pictures.update((index, query) for query in _words(grounding, "imageSearchQueries"))
        for chunk in _list(grounding, "groundingChunks"):
            if type(chunk) is dict:
                kinds.update(chunk)

    def count(self, usage: Usage) -> None:
        """Add the searches to *usage*.

        If all sources are places on maps, so are all queries. If only some are, Gemini does not say
        which queries were of maps: all count as searches, and one more as one of maps. Those of
        images are never of maps.
        """
        usage.searches += len(self._pictures)
        for index, queries in self._queries.items():
            kinds = self._kinds[index]
            if "maps" not in kinds:
                usage.searches += len(queries)
            elif "web" not in kinds:
                usage.maps += len(queries) or 1
            else:
                usage.searches += len(queries)
                usage.maps += 1


def _words(grounding: Json, name: str) -> list[str]:
    return [word for word in _list(grounding, name) if type(word) is str and word]


def _list(grounding: Json, name: str) -> list[Any]:
    value = grounding.get(name)
    return value if type(value) is list else []
