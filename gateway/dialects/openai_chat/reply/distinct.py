"""Lists without repetitions.

An item is looked up by its JSON: comparing it with all the others would take the square of their
number, and the loop serves nobody else meanwhile.
"""

from typing import Any

import orjson


class Distinct:
    """A list that is extended by what it does not hold yet."""

    __slots__ = ("_places", "items")

    def __init__(self, items: list[Any]) -> None:
        self.items = list(items)
        self._places: dict[bytes, int] = {}
        for place, item in enumerate(items):
            self._places.setdefault(_key(item), place)

    def add(self, items: list[Any]) -> list[int]:
        """Add those *items* that are new; return the places of all of them."""
        places = []
        for item in items:
            place = self._places.setdefault(_key(item), len(self.items))
            if place == len(self.items):
                self.items.append(item)
            places.append(place)
        return places


def _key(item: Any) -> bytes:
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
