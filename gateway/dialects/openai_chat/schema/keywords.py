"""The keywords of JSON schemas: which ones are sent, and how two values of one combine.

A subschema among the values is a tuple of all that must apply there, so that combining two schemas
does not need to look at what is nested in them.
"""

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.dialects.shapes import is_shallow
from gateway.exchange import Json

# The maximum number of branches that two lists of alternatives may make together.
MAX_BRANCHES = 64
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
# From here on a JSON number cannot represent a step of one.
_MAX_EXACT = 2**53

# Left out silently: they restrict nothing, or are resolved where they stand.
IGNORED = frozenset(
    [
        "$ref",
        "$id",
        "$anchor",
        "$schema",
        "$comment",
        "$defs",
        "definitions",
        "allOf",
        "strict",
        "encrypted",
        "examples",
        "example",
        "readOnly",
        "writeOnly",
        "deprecated",
        "discriminator",
        "nullable",
        "xml",
        "externalDocs",
    ]
)


class Keyword(NamedTuple):
    """A keyword that is sent: *fits* tells which values are valid, *prepare* returns their form.

    *combine* returns the value that demands what two demand, None if no single value does.
    """

    fits: Callable[[Any], bool]
    combine: Callable[[Any, Any], Any]
    prepare: Callable[[Any], Any] = lambda value: value


def settle_bounds(value: Json, lost: set[str]) -> None:
    """Turn the exclusive bounds in *value*, the keywords of one schema, into inclusive ones."""
    for name, step, tighter in (("minimum", 1, max), ("maximum", -1, min)):
        exclusive = value.pop(f"exclusive{name.capitalize()}", None)
        if exclusive is None:
            continue
        plain = value.get(name)
        if plain is not None and tighter(plain, exclusive) != exclusive:
            continue
        types = listed(value.get("type", "number"))
        if abs(exclusive) < _MAX_EXACT and "number" not in types:
            whole = math.floor(exclusive) if step > 0 else math.ceil(exclusive)
            value[name] = whole + step
        else:
            value[name] = exclusive
            lost.add(f"exclusive{name.capitalize()}")


def _comparable(value: Any) -> str:
    """Return text that is equal for equal JSON values, as 1 and 1.0, but not 1 and true."""
    return json.dumps(_plain_numbers(value), sort_keys=True)


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain_numbers(item) for name, item in value.items()}
    return value


def listed(types: Any) -> list[str]:
    """Return the value of `type`, a name or a list of names, as a list."""
    return [types] if isinstance(types, str) else types


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def is_type(value: object) -> bool:
    """Tell whether *value* is a type or a list of types, in any case."""
    types = [value] if isinstance(value, str) else value
    return (
        isinstance(types, list)
        and 0 < len(types) <= len(_TYPES)
        and all(isinstance(name, str) and name.lower() in _TYPES for name in types)
    )


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and is_shallow(value)


def _are_branches(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def _first(one: Any, _other: Any) -> Any:
    return one


def _small(types: Any) -> Any:
    return types.lower() if isinstance(types, str) else _union([name.lower() for name in types], [])


def _only(one: Any, other: Any) -> Any:
    return one if one == other else None


def _joined(one: str, other: str) -> str:
    """Return two descriptions as one: the model reads both."""
    return one if other in one else f"{one}\n{other}"


def _union(one: list[str], other: list[str]) -> list[str]:
    return list(dict.fromkeys([*one, *other]))


def common_values(one: list[Any], other: list[Any]) -> list[Any]:
    """Return those values of *one* that are equal to one of *other*, as JSON compares them."""
    comparable = set(map(_comparable, other))
    return [value for value in one if _comparable(value) in comparable]


def _types(one: Any, other: Any) -> Any:
    first, second = listed(one), listed(other)
    both = [kind for kind in first if kind in second or _is_whole(kind, second)]
    both += [kind for kind in second if kind not in both and _is_whole(kind, first)]
    return both[0] if len(both) == 1 else both


def _is_whole(kind: str, others: list[str]) -> bool:
    return kind == "integer" and "number" in others


def _branches(value: list[Any]) -> list[tuple[Any, ...]]:
    return [(branch,) for branch in value]


def _product(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> Any:
    """Return each pair of alternatives; exactly one pair applies if exactly one of each does."""
    if len(one) * len(other) > MAX_BRANCHES:
        return None
    return [first + second for first in one for second in other]


def _tightest(*names: str, by: Callable[[Any, Any], Any]) -> dict[str, Keyword]:
    return {name: Keyword(_is_number, by) for name in names}


KEYWORDS: dict[str, Keyword] = {
    "title": Keyword(_is_text, _first),
    "description": Keyword(_is_text, _joined),
    "default": Keyword(is_shallow, _first),
    "type": Keyword(is_type, _types, _small),
    "format": Keyword(_is_text, _only),
    "pattern": Keyword(_is_text, _only),
    "enum": Keyword(_is_list, common_values),
    "uniqueItems": Keyword(_is_flag, lambda one, other: one or other),
    "required": Keyword(_is_list, _union, lambda value: _union(list(filter(_is_text, value)), [])),
    "propertyOrdering": Keyword(_are_texts, _union),
    "anyOf": Keyword(_are_branches, _product, _branches),
    "oneOf": Keyword(_are_branches, _product, _branches),
    **_tightest("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", by=max),
    **_tightest("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", by=min),
}
