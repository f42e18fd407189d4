"""The definitions of a schema: what is referenced, and what cannot be written inline."""

import re
from typing import Any

from gateway.dialects.openai_chat.schema.merge import Parts
from gateway.exchange import Json

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")

# The identities of the schemas that apply together.
Key = frozenset[int]


class Definitions:
    """The definitions of one schema, by name. *pending* ones are named, but not made yet."""

    __slots__ = ("_by_name", "_references", "pending")

    def __init__(self) -> None:
        self._by_name: Json = {}
        self._references: dict[Key, str] = {}
        self.pending: list[tuple[str, Key, list[Json]]] = []

    def __contains__(self, key: Key) -> bool:
        """Tell whether there is one for the schemas of *key*."""
        return key in self._references

    def refer(self, key: Key, members: list[Json], parts: Parts) -> str:
        """Return the reference to the definition of what *members* demand; *parts* may name it."""
        reference = self._references.get(key)
        if reference is None:
            pointer = _reference_in(parts)
            name = _UNFIT.sub("_", pointer.rsplit("/", 1)[-1]) or "schema"
            while name in self._by_name:
                name = f"{name}_{len(self._by_name)}"
            self._references[key] = reference = f"#/$defs/{name}"
            self._by_name[name] = {}
            self.pending.append((name, key, members))
        return reference

    def put(self, name: str, schema: Json) -> None:
        """Set the schema of the definition *name*."""
        self._by_name[name] = schema

    def needed_by(self, root: Json) -> Json:
        """Return the definitions that *root* needs, without those of dropped schemas."""
        needed: set[str] = set()
        nodes: list[Any] = [root] if self._by_name else []
        while nodes:
            node = nodes.pop()
            if isinstance(node, list):
                nodes += node
            elif isinstance(node, dict):
                nodes += node.values()
                name = str(node.get("$ref")).removeprefix("#/$defs/")
                if name in self._by_name and name not in needed:
                    needed.add(name)
                    nodes.append(self._by_name[name])
        return {name: node for name, node in self._by_name.items() if name in needed}


def _reference_in(parts: Parts) -> str:
    """Return a reference among *parts*, which names what they become."""
    for part in parts:
        all_of = part.get("allOf") if isinstance(part, dict) else None
        for schema in (part, *(all_of if isinstance(all_of, list) else ())):
            if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
                return str(schema["$ref"])
    return ""
