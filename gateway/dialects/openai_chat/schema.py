"""JSON schemas in the form that `parametersJsonSchema` and `responseJsonSchema` take.

The keywords are those of the API's own description and those that recorded requests show to be
accepted; of the others some are told in accepted words, the rest is left out.
"""

from collections.abc import Callable
from typing import Any

from gateway.dialects.openai_chat.shapes import MAX_DEPTH, is_shallow
from gateway.errors import BadRequest
from gateway.exchange import Json

MAX_MERGES = 128

_KEPT = frozenset(
    [
        "$id",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "required",
        "propertyOrdering",
        "default",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "pattern",
        "uniqueItems",
    ]
)
# Left out without a word: they restrict nothing.
_SILENT = frozenset(
    [
        "$schema",
        "$comment",
        "strict",
        "encrypted",
        "examples",
        "example",
        "readOnly",
        "writeOnly",
        "deprecated",
        "discriminator",
        "definitions",
        "nullable",
        "const",
        "allOf",
        "xml",
        "externalDocs",
    ]
)


def normalise(schema: Any, param: str) -> tuple[Json, list[str]]:
    """Give *schema* in the accepted form, and the keywords that were lost on the way.

    Raises `BadRequest` naming *param* for a reference that leads nowhere and for a schema nested
    too deeply.
    """
    work = _Work(schema if isinstance(schema, dict) else {}, param)
    made = work.node(work.root, 0)
    if work.definitions:
        made["$defs"] = work.definitions
    return made, sorted(work.lost)


def is_empty(schema: Any) -> bool:
    """Say whether the parameters that *schema* describes are none at all."""
    return not isinstance(schema, dict) or not (
        schema.keys() & {"properties", "$ref", "anyOf", "oneOf", "allOf", "items", "enum"}
        and schema.get("properties") != {}
    )


class _Work:
    """One schema being normalised; *definitions* are those that it refers to."""

    __slots__ = ("_merges", "_param", "_pointers", "definitions", "lost", "root")

    def __init__(self, root: Json, param: str) -> None:
        self.root = root
        self.lost: set[str] = set()
        self.definitions: Json = {}
        self._merges = 0
        self._param = param
        self._pointers: dict[str, str] = {}

    def node(self, schema: Any, depth: int) -> Json:
        """Give one schema, which may also be true or false."""
        if depth > MAX_DEPTH:
            raise BadRequest("This schema is nested too deeply.", param=self._param)
        if not isinstance(schema, dict):
            return {}
        if isinstance(schema.get("$ref"), str):
            return {"$ref": self._reference(schema["$ref"], depth)}
        if isinstance(schema.get("allOf"), list):
            schema = self._merged(schema)
            if "$ref" in schema:
                return self.node(schema, depth + 1)
        made: Json = {}
        for name, value in schema.items():
            if name in _KEPT and is_shallow(value):
                made[name] = value
            elif (translate := _KEYWORDS.get(name)) is not None:
                translate(self, made, value, depth + 1)
            elif name not in _SILENT and name != "$defs":
                self.lost.add(name)
        return _completed(made, schema)

    def _merged(self, schema: Json) -> Json:
        """Give *schema* with what its `allOf` demands as its own demands."""
        parts = [self._target(part) for part in schema["allOf"] if isinstance(part, dict)]
        rest = {name: value for name, value in schema.items() if name != "allOf"}
        if len(schema["allOf"]) == 1 and isinstance(schema["allOf"][0], dict):
            only = schema["allOf"][0]
            if "$ref" in only and not rest.keys() & {"properties", "type", "anyOf"}:
                return only
        merged: Json = {}
        for part in [*parts, rest]:
            for name, value in part.items():
                if name == "properties" and isinstance(value, dict):
                    merged[name] = {**merged.get(name, {}), **value}
                elif name == "required" and isinstance(value, list):
                    merged[name] = [*merged.get(name, []), *value]
                elif name != "$ref":
                    merged[name] = value
        return merged

    def _target(self, part: Json) -> Json:
        """Give what *part* of an `allOf` says, or what it refers to, itself merged."""
        # One count for the whole schema: references among `allOf` can grow without bound.
        self._merges += 1
        if self._merges > MAX_MERGES:
            raise BadRequest("This schema merges too much.", param=self._param)
        if isinstance(part.get("$ref"), str):
            found = self._find(part["$ref"])
            return self._target(found if isinstance(found, dict) else {})
        return self._merged(part) if isinstance(part.get("allOf"), list) else part

    def _reference(self, pointer: str, depth: int) -> str:
        """Give the reference to what *pointer* points at, and keep that among the definitions."""
        if pointer == "#":
            return pointer
        known = self._pointers.get(pointer)
        if known is None:
            target = self._find(pointer)
            name = pointer.rsplit("/", 1)[-1] or "root"
            while name in self.definitions:
                name += "_"
            self._pointers[pointer] = known = f"#/$defs/{name}"
            self.definitions[name] = {}
            self.definitions[name] = self.node(target, depth + 1)
        return known

    def _find(self, pointer: str) -> Any:
        target: Any = self.root
        if not pointer.startswith("#"):
            raise self._unresolved(pointer)
        for step in pointer[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and name in target:
                target = target[name]
            elif isinstance(target, list) and step.isdigit() and int(step) < len(target):
                target = target[int(step)]
            else:
                raise self._unresolved(pointer)
        return target

    def _unresolved(self, pointer: str) -> BadRequest:
        return BadRequest(
            f"The reference {pointer[:128]!r} leads nowhere within this schema.",
            param=self._param,
            code="invalid_schema",
        )


def _one(name: str) -> Callable[[_Work, Json, Any, int], None]:
    def translate(work: _Work, made: Json, value: Any, depth: int) -> None:
        made[name] = work.node(value, depth)

    return translate


def _several(name: str) -> Callable[[_Work, Json, Any, int], None]:
    def translate(work: _Work, made: Json, value: Any, depth: int) -> None:
        if isinstance(value, list):
            made[name] = [work.node(one, depth) for one in value]

    return translate


def _properties(work: _Work, made: Json, value: Any, depth: int) -> None:
    if isinstance(value, dict):
        made["properties"] = {name: work.node(one, depth) for name, one in value.items()}


def _additional(work: _Work, made: Json, value: Any, depth: int) -> None:
    made["additionalProperties"] = value if isinstance(value, bool) else work.node(value, depth)


def _items(work: _Work, made: Json, value: Any, depth: int) -> None:
    if isinstance(value, list):
        made["prefixItems"] = [work.node(one, depth) for one in value]
    else:
        made["items"] = work.node(value, depth)


def _bound(name: str, step: int) -> Callable[[_Work, Json, Any, int], None]:
    """Make the translation of an exclusive bound; exact for integers, else the bound itself."""

    def translate(work: _Work, made: Json, value: Any, _depth: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        exact = isinstance(value, int) and made.get("type") == "integer"
        made[name] = value + step if exact else value
        if not exact:
            work.lost.add(f"exclusive{name.capitalize()}")

    return translate


def _completed(made: Json, schema: Json) -> Json:
    """Give *made* with what Gemini misses, made of what *schema* says in other words."""
    if "const" in schema and "enum" not in made and is_shallow(schema["const"]):
        made["enum"] = [schema["const"]]
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    if "type" not in made and "properties" in made:
        made["type"] = "object"
    kind = made.get("type")
    if kind == "array" and not made.get("items") and "prefixItems" not in made:
        made["items"] = {"type": "string"}
    required = made.get("required")
    if required is not None and "properties" in made:
        known = made["properties"]
        made["required"] = (
            [name for name in dict.fromkeys(filter(_is_text, required)) if name in known]
            if isinstance(required, list)
            else []
        )
    if "required" in made and not made["required"]:
        del made["required"]
    return made


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_KEYWORDS: dict[str, Callable[[_Work, Json, Any, int], None]] = {
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "prefixItems": _several("prefixItems"),
    "anyOf": _several("anyOf"),
    "oneOf": _several("oneOf"),
    "exclusiveMinimum": _bound("minimum", 1),
    "exclusiveMaximum": _bound("maximum", -1),
}
