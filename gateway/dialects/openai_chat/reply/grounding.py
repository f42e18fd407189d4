"""Metadata that a stream tells in pieces or again and again, put together as it comes."""

from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.dialects.openai_chat.reply.distinct import Distinct
from gateway.exchange import Json


def grounding_noter(name: str) -> Callable[[Choice, Any], None]:
    """Return a function that notes the metadata *name*, which may come in pieces or repeatedly."""

    def keep(choice: Choice, value: Any) -> None:
        # What is nested too deeply to be sent is refused here, not when it is written.
        orjson.dumps(value)
        if name in choice.grounding:
            _merge(choice, name, value)
        else:
            choice.grounding[name] = value

    return keep


def _merge(choice: Choice, name: str, value: Json) -> None:
    """Add *value* to the metadata *name* of *choice*, without repetitions."""
    lists = choice.grounding_lists.get(name)
    if lists is None:
        # The first piece belongs to its event.
        choice.grounding[name] = dict(choice.grounding[name])
        lists = choice.grounding_lists[name] = {}
    merged = choice.grounding[name]
    chunks = value.get("groundingChunks") or []
    places = _add(merged, lists, "groundingChunks", chunks) if chunks else []
    for field, content in value.items():
        if field == "groundingSupports" and content and places != [*range(len(places))]:
            # The places named by its supports are those in its own list.
            _add(merged, lists, field, [_renumbered(support, places) for support in content])
        elif isinstance(content, list):
            _add(merged, lists, field, content)
        elif content:
            merged[field] = content


def _add(merged: Json, lists: dict[str, Distinct], field: str, items: list[Any]) -> list[int]:
    """Add *items* to the list *field* of *merged*; return their places in it."""
    known = lists.get(field)
    if known is None:
        known = lists[field] = Distinct(merged.get(field) or [])
        merged[field] = known.items
    return known.add(items)


def _renumbered(support: Json, places: list[int]) -> Json:
    """Return *support* with its numbers of chunks replaced by the *places* of these."""
    numbers = support.get("groundingChunkIndices")
    if not numbers:
        return support
    numbers = [places[at] if 0 <= at < len(places) else at for at in numbers]
    return {**support, "groundingChunkIndices": numbers}
