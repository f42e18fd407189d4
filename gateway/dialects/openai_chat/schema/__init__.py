"""JSON schemas in the form that `parametersJsonSchema` and `responseJsonSchema` accept.

The keywords are those of the API's own description and those that recorded requests show to be
accepted. Others are rewritten as accepted ones where these mean exactly the same: `allOf` and the
siblings of a `$ref` by merging. What cannot be expressed is left out and named.
"""

from collections.abc import Iterator
from typing import Any

from gateway.dialects.openai_chat.schema.definitions import Definitions, Key
from gateway.dialects.openai_chat.schema.keywords import IGNORED
from gateway.dialects.openai_chat.schema.merge import Parts, merge
from gateway.dialects.openai_chat.schema.references import References
from gateway.dialects.openai_chat.schema.rewording import reworded
from gateway.dialects.openai_chat.schema.steps import MAX_STEPS, Budget, Steps, steps_of, width
from gateway.dialects.shapes import MAX_DEPTH
from gateway.exchange import Json

# The maximum number of schemas merged in one place.
MAX_MEMBERS = 64
# After this many steps merged schemas become definitions: what is referenced is not repeated.
MAX_INLINED = 20_000

_STRINGS: Json = {"type": "string"}
# Nothing matches a schema that forbids these: zod writes it for a value that may be missing.
_ANYTHING: tuple[Any, ...] = ({}, True)


def normalise(schema: Any, param: str, steps: Steps) -> tuple[Json, list[str]]:
    """Return *schema* in the accepted form, and the keywords that were lost.

    Takes from *steps*. Raises `BadRequest` naming *param* for a reference that leads nowhere, for a
    schema nested too deeply and for one that takes too many steps.
    """
    budget = Budget(param, min(MAX_STEPS, steps.left))
    normaliser = _Normaliser(schema, budget)
    normalised = normaliser.whole()
    steps.left -= budget.spent
    return normalised, sorted(normaliser.lost)


class _Normaliser:
    """One schema being normalised; *lost* are the keywords that could not be expressed."""

    __slots__ = (
        "_budget",
        "_definitions",
        "_open",
        "_references",
        "_reworded",
        "_root",
        "lost",
    )

    def __init__(self, root: Any, budget: Budget) -> None:
        self.lost: set[str] = set()
        self._budget = budget
        self._definitions = Definitions()
        self._open: set[Key] = set()
        self._references = References(root, budget)
        # By identity, with the schema itself, which keeps its identity from being reused.
        self._reworded: dict[int, tuple[Json, Json, int]] = {}
        self._root = root

    def whole(self) -> Json:
        """Return the root with the definitions that it needs."""
        root = self._or_anything(self._node((self._root,), 0))
        while self._definitions.pending:
            name, key, members = self._definitions.pending.pop()
            self._definitions.put(name, self._or_anything(self._merged(key, members, 0)))
        needed = self._definitions.needed_by(root)
        return {**root, "$defs": needed} if needed else root

    def _or_anything(self, node: Json | None) -> Json:
        """Return *node*, or the schema of any value: that nothing is valid cannot be expressed."""
        if node is None:
            self.lost.add("false")
        return node or {}

    def _node(self, parts: Parts, depth: int) -> Json | None:
        """Return one schema that demands what all *parts* do; None if nothing can satisfy them."""
        if not parts:
            return {}
        if depth > MAX_DEPTH:
            raise self._budget.refused("This schema is nested too deeply.")
        members = {id(member): member for part in parts for member in self._members(part, ())}
        if id(False) in members:
            return None
        if len(members) > MAX_MEMBERS:
            raise self._budget.refused("This schema merges too much.")
        key = frozenset(members)
        pointer = self._pointer_alone(parts)
        if pointer is not None and self._references.find(pointer) is self._root:
            return {"$ref": "#"}
        if pointer is None and self._is_inlined(key):
            return self._merged(key, list(members.values()), depth)
        return {"$ref": self._definitions.refer(key, list(members.values()), parts)}

    def _is_inlined(self, key: Key) -> bool:
        """Tell whether the schemas of *key* are written inline: never within themselves."""
        if any(not key.isdisjoint(outer) for outer in self._open):
            return False
        return len(key) <= 1 or (key not in self._definitions and self._budget.spent < MAX_INLINED)

    def _members(self, part: Any, through: tuple[str, ...]) -> Iterator[Any]:
        """Yield the schemas without `$ref` and `allOf` that *part* demands; False demands itself.

        *through* are the references that led here.
        """
        if len(through) > MAX_DEPTH:
            raise self._budget.refused("This schema is nested too deeply.")
        if not isinstance(part, dict):
            if part is False:
                yield part
            elif part is not True:
                self.lost.add("invalid")
            return
        if part.get("not") in _ANYTHING:
            yield False
            return
        schema = self._reword(part)
        if schema.keys() - IGNORED:
            yield schema
        if "$ref" in schema:
            pointer = schema["$ref"]
            if pointer in through:
                raise self._budget.refused(f"The reference {pointer[:128]!r} leads to itself.")
            yield from self._members(self._references.find(pointer), (*through, pointer))
        for member in schema.get("allOf", ()):
            yield from self._members(member, (*through, ""))

    def _reword(self, schema: Json) -> Json:
        cached = self._reworded.get(id(schema))
        if cached is None:
            steps = 1 + sum(steps_of(name, value) for name, value in schema.items())
            self._budget.spend(steps)
            modern = reworded(schema, self.lost)
            self._reworded[id(schema)] = schema, modern, steps
            return modern
        self._budget.spend(cached[2])
        return cached[1]

    def _pointer_alone(self, parts: Parts) -> str | None:
        """Return the reference that *parts* consist of, if they contain nothing else."""
        part = parts[0] if len(parts) == 1 else None
        while isinstance(part, dict):
            schema = self._reword(part)
            pointer, all_of = schema.get("$ref"), schema.get("allOf")
            if schema.keys() - IGNORED or (pointer is not None and all_of):
                return None
            if pointer is not None:
                return str(pointer)
            part = all_of[0] if all_of and len(all_of) == 1 else None
        return None

    def _merged(self, key: Key, members: list[Json], depth: int) -> Json | None:
        """Return what *members* demand together, with all that is nested in them."""
        if len(members) > 1:
            # Each property is looked up in each member: a cheap step each.
            self._budget.spend(len(members) * sum(map(width, members)) // 8)
        merged = merge(members, self.lost)
        if merged is None:
            return None
        self._open.add(key)
        possible = all(
            self._normalise_branches(merged, name, depth + 1) for name in ("anyOf", "oneOf")
        )
        self._normalise_properties(merged, depth + 1)
        self._normalise_items(merged, depth + 1)
        self._open.discard(key)
        return merged if possible else None

    def _normalise_branches(self, merged: Json, name: str, depth: int) -> bool:
        """Make the alternatives; False if there are some, and none can be satisfied."""
        if name not in merged:
            return True
        nodes = [self._node(parts, depth) for parts in merged[name]]
        merged[name] = [node for node in nodes if node is not None]
        return bool(merged[name])

    def _normalise_properties(self, merged: Json, depth: int) -> None:
        additional = merged.get("additionalProperties")
        if additional is not None:
            merged["additionalProperties"] = additional = _or_bool(self._node(additional, depth))
        if "properties" not in merged:
            return
        merged.setdefault("type", "object")
        nodes = {name: self._node(parts, depth) for name, parts in merged["properties"].items()}
        properties = merged["properties"] = {
            name: node for name, node in nodes.items() if node is not None
        }
        if len(properties) < len(nodes) and additional is not False:
            self.lost.add("false")
        required = merged.pop("required", [])
        if isinstance(additional, dict):
            properties.update({name: additional for name in required if name not in nodes})
        # Names that are not among the properties are refused.
        known = [name for name in required if name in properties]
        if len(known) < len(required):
            self.lost.add("required")
        if known:
            merged["required"] = known

    def _normalise_items(self, merged: Json, depth: int) -> None:
        first = [self._node(parts, depth) for parts in merged.pop("prefixItems", ())]
        rest = self._node(merged.pop("items", ()), depth)
        if None in (*first, rest):
            # Where nothing is valid, the array ends.
            most = [*first, rest].index(None)
            merged["maxItems"] = min(merged.get("maxItems", most), most)
            first, rest = first[:most], None
        if first:
            merged["prefixItems"] = first
        if rest:
            merged["items"] = rest
        elif not first and "array" in merged.get("type", ()):
            # Items without a type are refused.
            merged["items"] = _STRINGS
            if merged.get("maxItems") != 0:
                self.lost.add("items")


def _or_bool(node: Json | None) -> Json | bool:
    return False if node is None else node or True
