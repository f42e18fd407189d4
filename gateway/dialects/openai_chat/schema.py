"""JSON schemas in the form that `parametersJsonSchema` and `responseJsonSchema` take.

The keywords are those of the API's own description and those that recorded requests show to be
accepted. The rest is told in accepted words where these say exactly the same: `allOf` and what
stands beside a `$ref` by merging. What nobody could tell is left out and named.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from gateway.dialects.openai_chat.schema_merge import Parts, merge
from gateway.dialects.openai_chat.schema_words import SILENT, reworded
from gateway.dialects.openai_chat.shapes import MAX_DEPTH
from gateway.errors import BadRequest
from gateway.exchange import Json

# Steps for one schema and for all of one request, at 1 to 3 microseconds each: references within
# `allOf` and beside other keywords can grow without bound, and nothing else is served meanwhile.
MAX_STEPS = 40_000
MAX_STEPS_OF_ALL = 100_000
# So many characters of a text count as one step.
_TEXT_OF_A_STEP = 64
# The values of these keywords are looked through; those of others are schemas, or are not sent.
_VALUES = frozenset({"enum", "const", "default", "required", "propertyOrdering"})
# The most schemas of one place that are merged.
MAX_MEMBERS = 64
# After so many steps, merged schemas become definitions: what is referred to is not repeated.
MAX_INLINED = 20_000

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")
_STRINGS: Json = {"type": "string"}
# What gives an object of parameters its members, and the values that give none.
_SAYING = (
    "properties",
    "patternProperties",
    "additionalProperties",
    "items",
    "enum",
    "$ref",
    "anyOf",
    "oneOf",
    "allOf",
)
_SAYING_NOTHING: tuple[Any, ...] = (None, True, False, {}, [])

Key = frozenset[int]


class Steps:
    """The steps that are *left* for the schemas of one request."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS_OF_ALL


def normalise(schema: Any, param: str, steps: Steps) -> tuple[Json, list[str]]:
    """Give *schema* in the accepted form, and the keywords that were lost on the way.

    Takes from *steps*. Raises `BadRequest` naming *param* for a reference that leads nowhere, for
    a schema nested too deeply and for one that takes too many steps.
    """
    work = _Work(schema, param, min(MAX_STEPS, steps.left))
    made = work.whole()
    steps.left -= work.steps
    return made, sorted(work.lost)


def is_empty(schema: Any) -> bool:
    """Say whether the parameters that *schema* describes are none at all."""
    return not isinstance(schema, dict) or all(
        schema.get(name) in _SAYING_NOTHING for name in _SAYING
    )


class _Work:
    """One schema being normalised in at most *most* steps.

    *lost* are the keywords that could not be told, *steps* those that were taken.
    """

    __slots__ = (
        "_definitions",
        "_most",
        "_named",
        "_open",
        "_param",
        "_pending",
        "_reworded",
        "_root",
        "_targets",
        "lost",
        "steps",
    )

    def __init__(self, root: Any, param: str, most: int) -> None:
        self.lost: set[str] = set()
        self.steps = 0
        self._definitions: Json = {}
        self._named: dict[Key, str] = {}
        self._open: set[Key] = set()
        self._most = most
        self._param = param
        self._pending: list[tuple[str, Key, list[Json]]] = []
        # By identity, with the schema itself so that its identity stays its own.
        self._reworded: dict[int, tuple[Json, Json, int]] = {}
        self._root = root
        self._targets: dict[str, Any] = {}

    def whole(self) -> Json:
        """Give the root with the definitions that it needs."""
        made = self._or_anything(self._node((self._root,), 0))
        while self._pending:
            name, key, members = self._pending.pop()
            self._definitions[name] = self._or_anything(self._made(key, members, 0))
        needed = self._needed(made)
        return {**made, "$defs": needed} if needed else made

    def _needed(self, made: Json) -> Json:
        """Give the definitions that *made* refers to; what was dropped refers no more."""
        found: set[str] = set()
        nodes: list[Any] = [made] if self._definitions else []
        while nodes:
            node = nodes.pop()
            if isinstance(node, list):
                nodes += node
            elif isinstance(node, dict):
                nodes += node.values()
                name = str(node.get("$ref")).removeprefix("#/$defs/")
                if name in self._definitions and name not in found:
                    found.add(name)
                    nodes.append(self._definitions[name])
        return {name: node for name, node in self._definitions.items() if name in found}

    def _or_anything(self, made: Json | None) -> Json:
        """Give *made*; that nothing is allowed cannot be told."""
        if made is None:
            self.lost.add("false")
        return made or {}

    def _node(self, parts: Parts, depth: int) -> Json | None:
        """Give one schema that demands what all *parts* do; None if nothing can meet them."""
        if not parts:
            return {}
        if depth > MAX_DEPTH:
            raise self._refused("This schema is nested too deeply.")
        members = {id(one): one for part in parts for one in self._members(part, ())}
        if id(False) in members:
            return None
        if len(members) > MAX_MEMBERS:
            raise self._refused("This schema merges too much.")
        key = frozenset(members)
        pointer = self._pointer_alone(parts)
        if pointer is not None and self._find(pointer) is self._root:
            return {"$ref": "#"}
        if pointer is None and self._is_inlined(key):
            return self._made(key, list(members.values()), depth)
        return {"$ref": self._defined(key, list(members.values()), _reference_in(parts))}

    def _is_inlined(self, key: Key) -> bool:
        """Say whether the schemas of *key* are told where they stand: never within themselves."""
        if any(not key.isdisjoint(outer) for outer in self._open):
            return False
        return len(key) <= 1 or (key not in self._named and self.steps < MAX_INLINED)

    def _members(self, part: Any, through: tuple[str, ...]) -> Iterator[Any]:
        """Give the schemas without `$ref` and `allOf` that *part* demands; False demands itself.

        *through* are the references that led here.
        """
        if len(through) > MAX_DEPTH:
            raise self._refused("This schema is nested too deeply.")
        if not isinstance(part, dict):
            if part is False:
                yield part
            elif part is not True:
                self.lost.add("invalid")
            return
        schema = self._in_words(part)
        if schema.keys() - SILENT:
            yield schema
        if "$ref" in schema:
            pointer = schema["$ref"]
            if pointer in through:
                raise self._refused(f"The reference {pointer[:128]!r} leads to itself.")
            yield from self._members(self._find(pointer), (*through, pointer))
        for one in schema.get("allOf", ()):
            yield from self._members(one, (*through, ""))

    def _in_words(self, schema: Json) -> Json:
        known = self._reworded.get(id(schema))
        if known is None:
            steps = 1 + sum(_steps_of(name, value) for name, value in schema.items())
            self._spend(steps)
            words = reworded(schema, self.lost)
            self._reworded[id(schema)] = schema, words, steps
            return words
        self._spend(known[2])
        return known[1]

    def _spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > self._most:
            raise self._refused("This schema is too large, or merges too much.")

    def _pointer_alone(self, parts: Parts) -> str | None:
        """Give the reference that *parts* are, if they say nothing else."""
        part = parts[0] if len(parts) == 1 else None
        while isinstance(part, dict):
            schema = self._in_words(part)
            pointer, all_of = schema.get("$ref"), schema.get("allOf")
            if schema.keys() - SILENT or (pointer is not None and all_of):
                return None
            if pointer is not None:
                return str(pointer)
            part = all_of[0] if all_of and len(all_of) == 1 else None
        return None

    def _made(self, key: Key, members: list[Json], depth: int) -> Json | None:
        """Give what *members* demand together, with all that is nested in them."""
        if len(members) > 1:
            # Each property is looked up in each member: little work, but with all others.
            self._spend(len(members) * sum(map(_width, members)) // 8)
        made = merge(members, self.lost)
        if made is None:
            return None
        self._open.add(key)
        possible = all(self._make_branches(made, name, depth + 1) for name in ("anyOf", "oneOf"))
        self._make_properties(made, depth + 1)
        self._make_items(made, depth + 1)
        self._open.discard(key)
        return made if possible else None

    def _make_branches(self, made: Json, name: str, depth: int) -> bool:
        """Make the alternatives; false if there are some, and none can be met."""
        if name not in made:
            return True
        nodes = [self._node(parts, depth) for parts in made[name]]
        made[name] = [one for one in nodes if one is not None]
        return bool(made[name])

    def _make_properties(self, made: Json, depth: int) -> None:
        additional = made.get("additionalProperties")
        if additional is not None:
            made["additionalProperties"] = additional = _or_bool(self._node(additional, depth))
        if "properties" not in made:
            return
        made.setdefault("type", "object")
        nodes = {name: self._node(parts, depth) for name, parts in made["properties"].items()}
        known = made["properties"] = {name: one for name, one in nodes.items() if one is not None}
        if len(known) < len(nodes) and additional is not False:
            self.lost.add("false")
        required = made.pop("required", [])
        if isinstance(additional, dict):
            known.update({name: additional for name in required if name not in nodes})
        # Names that are not among the properties are refused.
        kept = [name for name in required if name in known]
        if len(kept) < len(required):
            self.lost.add("required")
        if kept:
            made["required"] = kept

    def _make_items(self, made: Json, depth: int) -> None:
        first = [self._node(parts, depth) for parts in made.pop("prefixItems", ())]
        rest = self._node(made.pop("items", ()), depth)
        if None in (*first, rest):
            # Where nothing may stand, the array is over.
            most = [*first, rest].index(None)
            made["maxItems"] = min(made.get("maxItems", most), most)
            first, rest = first[:most], None
        if first:
            made["prefixItems"] = first
        if rest:
            made["items"] = rest
        elif not first and "array" in made.get("type", ()):
            # Items without a type are refused.
            made["items"] = _STRINGS
            if made.get("maxItems") != 0:
                self.lost.add("items")

    def _defined(self, key: Key, members: list[Json], pointer: str) -> str:
        """Give the reference to the definition that says what *members* do."""
        known = self._named.get(key)
        if known is None:
            name = _UNFIT.sub("_", pointer.rsplit("/", 1)[-1]) or "schema"
            while name in self._definitions:
                name = f"{name}_{len(self._definitions)}"
            self._named[key] = known = f"#/$defs/{name}"
            self._definitions[name] = {}
            self._pending.append((name, key, members))
        return known

    def _find(self, pointer: str) -> Any:
        if pointer not in self._targets:
            self._targets[pointer] = self._followed(pointer)
        return self._targets[pointer]

    def _followed(self, pointer: str) -> Any:
        target: Any = self._root
        own = target.get("$id") if isinstance(target, dict) else None
        # The rest is what identifies it within the schema that is named before.
        within = pointer.removeprefix(own) if isinstance(own, str) else pointer
        if within not in ("", "#") and not within.startswith("#/"):
            return self._anchored(within.removeprefix("#"), pointer)
        self._spend(pointer.count("/"))
        for step in within[1:].split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and name in target:
                target = target[name]
            elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                raise self._unresolved(pointer)
        return target

    def _anchored(self, anchor: str, pointer: str) -> Any:
        """Give the schema named *anchor*, to which *pointer* leads."""
        nodes: list[Any] = [self._root] if pointer.endswith(f"#{anchor}") else []
        while nodes:
            node = nodes.pop()
            if isinstance(node, dict):
                if node.get("$anchor") == anchor:
                    return node
                nodes += node.values()
            elif isinstance(node, list):
                nodes += node
            self._spend(1)
        raise self._unresolved(pointer)

    def _unresolved(self, pointer: str) -> BadRequest:
        return self._refused(f"The reference {pointer[:128]!r} leads nowhere within this schema.")

    def _refused(self, message: str) -> BadRequest:
        return BadRequest(message, param=self._param, code="invalid_schema")


def _reference_in(parts: Parts) -> str:
    """Give a reference among *parts*, for the name of what they become."""
    for part in parts:
        for one in (part, *(part.get("allOf") or ())) if isinstance(part, dict) else ():
            if isinstance(one, dict) and isinstance(one.get("$ref"), str):
                return str(one["$ref"])
    return ""


def _or_bool(made: Json | None) -> Json | bool:
    return False if made is None else made or True


def _width(member: Json) -> int:
    """Count the properties and the items that *member* describes by themselves."""
    values = (member.get(name) for name in ("properties", "prefixItems"))
    return sum(len(value) for value in values if isinstance(value, dict | list))


def _steps_of(name: str, value: Any) -> int:
    """Count the steps that the keyword *name* takes; those of schemas in it are not among them."""
    if name in _VALUES:
        return _size(value)
    if isinstance(value, str):
        return 1 + len(value) // _TEXT_OF_A_STEP
    return 1 + (len(value) if isinstance(value, dict | list) else 0)


def _size(value: Any) -> int:
    """Count the values in *value*, long texts as several; beyond `MAX_STEPS` not to the end."""
    size, level = 1, [value]
    while level:
        nested: list[Any] = []
        for one in level:
            if isinstance(one, str):
                size += len(one) // _TEXT_OF_A_STEP
            elif isinstance(one, dict | list):
                size += len(one)
                if size > MAX_STEPS:
                    return size
                nested += [*one, *one.values()] if isinstance(one, dict) else one
        level = nested
    return size
