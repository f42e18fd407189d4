"""Merges schemas that apply together into one: `allOf`, and the siblings of a reference.

A subschema of the result is a tuple of subschemas that must all apply, to be merged in turn.
"""

from collections.abc import Iterable
from typing import Any

from gateway.dialects.openai_chat.schema.keywords import IGNORED, KEYWORDS, settle_bounds
from gateway.exchange import Json

Parts = tuple[Any, ...]

# Keywords whose meaning depends on a sibling.
_PROPERTIES = ("properties", "additionalProperties")
_ITEMS = ("prefixItems", "items")


def merge(members: list[Json], lost: set[str]) -> Json | None:
    """Return the keywords that demand what all *members* do; None if nothing can satisfy them.

    What cannot be expressed goes into *lost*. Members must be free of `$ref` and `allOf`.
    """
    merged: Json = {}
    for member in members:
        for name, value in member.items():
            if name in KEYWORDS:
                _add_keyword(merged, name, value, lost)
            elif name not in IGNORED and name not in _PROPERTIES and name not in _ITEMS:
                lost.add(name)
    if merged.get("type") == [] or merged.get("enum") == []:
        return None
    settle_bounds(merged, lost)
    _merge_properties(merged, members, lost)
    _merge_items(merged, members, lost)
    return merged


def _add_keyword(merged: Json, name: str, value: Any, lost: set[str]) -> None:
    keyword = KEYWORDS[name]
    if not keyword.fits(value):
        # Some mark a required property within the property; false demands nothing.
        if value is not False:
            lost.add(name)
        return
    value = keyword.prepare(value)
    if name not in merged:
        merged[name] = value
        return
    combined = keyword.combine(merged[name], value)
    if combined is None:
        lost.add(name)
    else:
        merged[name] = combined


def _merge_properties(merged: Json, members: list[Json], lost: set[str]) -> None:
    """Merge the properties: `additionalProperties` applies to those that a member does not name."""
    described = [m for m in members if any(name in m for name in _PROPERTIES)]
    if not described:
        return
    named = [_dict(member, "properties", lost) for member in described]
    others = [member.get("additionalProperties", True) for member in described]
    required = frozenset(merged.get("required", ()))
    properties: dict[str, Parts] = {}
    for name in dict.fromkeys(name for one in named for name in one):
        parts = [known.get(name, other) for known, other in zip(named, others, strict=True)]
        if name in required and _is_forbidden(named, others, name):
            # Demanded by one and unnamed by another: the author means that they add up.
            parts = [part for part in parts if part is not False]
            lost.add("additionalProperties")
        properties[name] = _demands(parts)
    if any(isinstance(member.get("properties"), dict) for member in described):
        merged["properties"] = properties
    if any("additionalProperties" in member for member in described):
        merged["additionalProperties"] = _demands(others)


def _is_forbidden(named: list[Json], others: list[Any], name: str) -> bool:
    """Tell whether a member that does not name the property *name* allows no others."""
    return any(
        other is False and name not in known for known, other in zip(named, others, strict=True)
    )


def _merge_items(merged: Json, members: list[Json], lost: set[str]) -> None:
    described = [member for member in members if any(name in member for name in _ITEMS)]
    if not described:
        return
    first = [_list(member, "prefixItems", lost) for member in described]
    rest = [member.get("items", True) for member in described]
    length = max(map(len, first))
    if length:
        merged["prefixItems"] = [
            _demands(
                one[at] if at < len(one) else other for one, other in zip(first, rest, strict=True)
            )
            for at in range(length)
        ]
    if any("items" in member for member in described):
        merged["items"] = _demands(rest)


def _demands(parts: Iterable[Any]) -> Parts:
    """Return *parts* without those that demand nothing."""
    return tuple(part for part in parts if part is not True and part != {})


def _dict(member: Json, name: str, lost: set[str]) -> Json:
    value = member.get(name, {})
    if isinstance(value, dict):
        return value
    lost.add(name)
    return {}


def _list(member: Json, name: str, lost: set[str]) -> list[Any]:
    value = member.get(name, [])
    if isinstance(value, list):
        return value
    lost.add(name)
    return []
