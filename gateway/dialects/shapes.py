"""Small checkers of JSON shapes, composed into tables.

A checker takes a value and raises `BadRequest`. Paths are only built when something is wrong: the
checker of a field or an item prepends its own name while the error passes through it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.errors import BadRequest

Check = Callable[[Any], None]

# All of Gemini's integers are int32 (the discovery document).
MAX_INT32 = 2_147_483_647

# Deeper values are rare, and every encoder of JSON has a limit.
MAX_DEPTH = 64

# Each unknown field is reported, which takes as long as parsing it did.
MAX_FIELDS = 1_024

_WORDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}


def prefixed(error: BadRequest, name: str) -> BadRequest:
    """Return *error* with *name* prepended to its path."""
    rest = error.param or ""
    dot = "" if not rest or rest.startswith("[") else "."
    error.param = f"{name}{dot}{rest}"
    return error


def wrong(value: object, wanted: str) -> BadRequest:
    """Return the error for a *value* that is not what was *wanted*."""
    kind = _WORDS.get(type(value), type(value).__name__)
    return BadRequest(f"Expected {wanted}, got {kind}.", code="invalid_type")


def of_type(kind: type, *, blank: bool = True) -> Check:
    """Return the checker of one JSON type; without *blank* a string must not be empty."""
    name = _WORDS[kind]

    def check(value: Any) -> None:
        if type(value) is not kind:
            raise wrong(value, name)
        if not blank and not value:
            raise BadRequest("This must not be empty.", code="invalid_value")

    return _passing(check, {kind} if blank else ())


def number(value: Any) -> None:
    """Check a number; true and false are none."""
    if type(value) not in (int, float):
        raise wrong(value, "a number")


def integer(value: Any) -> None:
    """Check an integer; some languages write it as 100.0."""
    if type(value) is not int and not (type(value) is float and value.is_integer()):
        raise wrong(value, "an integer")


def by_type(checks: Mapping[type, Check], wanted: str) -> Check:
    """Return the checker of a value of several JSON types, each with its own check."""

    def check(value: Any) -> None:
        inner = checks.get(type(value))
        if inner is None:
            raise wrong(value, wanted)
        inner(value)

    return _passing(check, [kind for kind, inner in checks.items() if inner is anything])


def anything(_value: Any) -> None:
    """Accept any value."""


def _passing(check: Check, types: Iterable[type]) -> Check:
    """Return *check*, which accepts all values of *types*: `fields` does not call it for these."""
    check.passes = frozenset(types)  # type: ignore[attr-defined]
    return check


def one_of(*words: str) -> Check:
    """Return the checker of a string that is one of *words*."""
    known = frozenset(words)

    def check(value: Any) -> None:
        if type(value) is not str:
            raise wrong(value, "a string")
        if value not in known:
            raise BadRequest(
                f"{value[:64]!r} is not one of {', '.join(words)}.", code="invalid_value"
            )

    return check


def items(item: Check, *, most: int | None = None, least: int = 0) -> Check:
    """Return the checker of an array with *least* to *most* items."""

    def check(value: Any) -> None:
        if type(value) is not list:
            raise wrong(value, "an array")
        if len(value) < least:
            raise BadRequest("This must not be empty.", code="empty_array")
        if most is not None and len(value) > most:
            raise BadRequest(
                f"This has {len(value)} items; {most} are allowed.", code="array_too_long"
            )
        index = 0
        try:
            for index, element in enumerate(value):  # noqa: B007 - used by the handler below
                item(element)
        except BadRequest as error:
            raise prefixed(error, f"[{index}]") from None

    return check


def fields(known: Mapping[str, Check], *, required: tuple[str, ...] = ()) -> Check:
    """Return the checker of an object. Null means unset; up to `MAX_FIELDS` unknown fields pass."""
    passing = {
        name: (getattr(inner, "passes", frozenset()) | {type(None)}, inner)
        for name, inner in known.items()
    }

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise wrong(value, "an object")
        if len(value) > MAX_FIELDS:
            raise BadRequest(
                f"This has {len(value)} fields; {MAX_FIELDS} are allowed.", code="too_many_fields"
            )
        name = ""
        try:
            for name, field in value.items():
                if name in passing:
                    passes, inner = passing[name]
                    if type(field) not in passes:
                        inner(field)
        except BadRequest as error:
            raise prefixed(error, name) from None
        for name in required:
            if value.get(name) is None:
                raise BadRequest(f"{name!r} is missing.", param=name, code="missing_field")

    return check


def tagged(tag: str, variants: Mapping[str, Check], other: Check | None = None) -> Check:
    """Return the checker of an object whose field *tag* determines its other fields.

    *other* checks those with a tag that is not among *variants*; without it they are refused.
    """
    known = ", ".join(variants)

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise wrong(value, "an object")
        variant = value.get(tag)
        if variant is None and other is None:
            raise BadRequest(f"{tag!r} is missing.", param=tag, code="missing_field")
        if variant is not None and type(variant) is not str:
            raise prefixed(wrong(variant, "a string"), tag)
        inner = variants.get(variant, other) if variant is not None else other
        if inner is None:
            raise BadRequest(
                f"{str(variant)[:64]!r} is not one of {known}.", param=tag, code="invalid_value"
            )
        inner(value)

    return check


def is_shallow(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Tell whether *value* is nested at most *limit* levels deep."""
    level = [value]
    while level and limit >= 0:
        limit -= 1
        level = [
            nested
            for node in level
            if isinstance(node, dict | list)
            for nested in (node.values() if isinstance(node, dict) else node)
        ]
    return not level
