"""What schemas may cost: nothing else is served while one is processed."""

from typing import Any

from gateway.errors import BadRequest
from gateway.exchange import Json

# Steps for one schema and for all of one request, at 1 to 3 microseconds each: references within
# `allOf` and beside other keywords can grow without bound, and nothing else is served meanwhile.
MAX_STEPS = 40_000
MAX_STEPS_OF_ALL = 100_000
# This many characters of a text count as one step.
_TEXT_OF_A_STEP = 64
# The values of these keywords are traversed; those of others are schemas, or are not sent.
_VALUES = frozenset({"enum", "const", "default", "required", "propertyOrdering"})


class Steps:
    """The steps that are *left* for the schemas of one request."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS_OF_ALL


class Budget:
    """The steps of one schema: *spent* so far, of *most*. *param* names the schema in errors."""

    __slots__ = ("_most", "_param", "spent")

    def __init__(self, param: str, most: int) -> None:
        self.spent = 0
        self._most = most
        self._param = param

    def spend(self, steps: int) -> None:
        """Take *steps*. Raises `BadRequest` if fewer are left."""
        self.spent += steps
        if self.spent > self._most:
            raise self.refused("This schema is too large, or merges too much.")

    def refused(self, message: str) -> BadRequest:
        """Return the error that refuses the schema."""
        return BadRequest(message, param=self._param, code="invalid_schema")


def width(member: Json) -> int:
    """Count the properties and the items that *member* itself describes."""
    values = (member.get(name) for name in ("properties", "prefixItems"))
    return sum(len(value) for value in values if isinstance(value, dict | list))


def steps_of(name: str, value: Any) -> int:
    """Count the steps that the keyword *name* takes, without those of schemas in it."""
    if name in _VALUES:
        return _size(value)
    if isinstance(value, str):
        return 1 + len(value) // _TEXT_OF_A_STEP
    return 1 + (len(value) if isinstance(value, dict | list) else 0)


def _size(value: Any) -> int:
    """Count the values in *value*, long texts as several; stops beyond `MAX_STEPS`."""
    size, level = 1, [value]
    while level:
        nested: list[Any] = []
        for item in level:
            if isinstance(item, str):
                size += len(item) // _TEXT_OF_A_STEP
            elif isinstance(item, dict | list):
                size += len(item)
                if size > MAX_STEPS:
                    return size
                nested += [*item, *item.values()] if isinstance(item, dict) else item
        level = nested
    return size
