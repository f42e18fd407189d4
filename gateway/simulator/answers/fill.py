"""Values that match a schema, JSON Schema or Google's own: the shortest valid ones."""

from collections.abc import Callable
from typing import Any

from gateway.simulator.refusal import Json
from gateway.simulator.strict.schemas import resolve

# Nested references end at this depth, where optional fields are left out.
_DEEPEST = 3
_FORMATS = {
    "date": "2026-11-23",
    "date-time": "2026-11-23T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class Filler:
    """Fills one schema; *words* are texts for properties by name."""

    __slots__ = ("_root", "_words")

    def __init__(self, root: Json, words: dict[str, str] | None = None) -> None:
        self._root = root
        self._words = words or {}

    def fill(self, schema: Any = None, name: str = "text", depth: int = 0) -> Any:
        """Return a value for *schema* (the root by default), the value of property *name*."""
        schema = self._root if schema is None else schema
        if not isinstance(schema, dict):
            return name
        if "$ref" in schema:
            return self.fill(resolve(schema["$ref"], self._root) or {}, name, depth + 1)
        for fixed in ("const", "default", "example"):
            if fixed in schema:
                return schema[fixed]
        if schema.get("enum"):
            return schema["enum"][0]
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                return self._union(schema[union], name, depth)
        return self._by_type(schema, name, depth)

    def _union(self, members: list[Json], name: str, depth: int) -> Any:
        if depth >= _DEEPEST and any(_type(member) == "null" for member in members):
            return None
        return self.fill(members[0], name, depth)

    def _by_type(self, schema: Json, name: str, depth: int) -> Any:
        fillers: dict[str, Callable[[Json, str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": lambda *_: int(_number(schema)),
            "number": lambda *_: _number(schema),
            "boolean": lambda *_: True,
            "null": lambda *_: None,
        }
        return fillers.get(_type(schema), self._string)(schema, name, depth)

    def _object(self, schema: Json, _name: str, depth: int) -> Json:
        required = schema.get("required", ())
        result = {
            key: self.fill(nested, key, depth + 1)
            for key, nested in schema.get("properties", {}).items()
            if key in required or depth < _DEEPEST
        }
        extra = schema.get("additionalProperties")
        if not result and isinstance(extra, dict):
            result["key"] = self.fill(extra, "key", depth + 1)
        return result

    def _array(self, schema: Json, name: str, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self.fill(item, name, depth + 1) for item in schema["prefixItems"]]
        least = int(schema.get("minItems", 0))
        count = max(least, 0 if depth >= _DEEPEST else 1)
        return [self.fill(schema.get("items") or {}, name, depth + 1) for _ in range(count)]

    def _string(self, schema: Json, name: str, _depth: int) -> str:
        text = _FORMATS.get(schema.get("format", "")) or self._words.get(name.lower(), name)
        least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", len(text) + 1))
        return text.ljust(least, ".")[: max(least, most)]


def _type(schema: Json) -> str:
    type_ = schema.get("type")
    if isinstance(type_, list):
        type_ = type_[0] if type_ else None
    if type_ is None:
        return "object" if "properties" in schema else "string"
    return str(type_).lower()


def _number(schema: Json) -> float:
    least = float(schema.get("minimum") or schema.get("exclusiveMinimum") or 0)
    value = least + 1 if "exclusiveMinimum" in schema else max(least, 1.0)
    most: float = schema.get("maximum", value)
    return float(min(value, most))
