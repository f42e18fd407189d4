"""Resolves the references of a schema: by a pointer or an anchor, within the schema itself."""

from typing import Any
from urllib.parse import unquote

from gateway.dialects.openai_chat.schema.steps import Budget
from gateway.errors import BadRequest


class References:
    """The references within the schema *root*; following one takes from *budget*, once."""

    __slots__ = ("_budget", "_root", "_targets")

    def __init__(self, root: Any, budget: Budget) -> None:
        self._budget = budget
        self._root = root
        self._targets: dict[str, Any] = {}

    def find(self, pointer: str) -> Any:
        """Return the schema that *pointer* leads to. Raises `BadRequest` if it leads nowhere."""
        if pointer not in self._targets:
            self._targets[pointer] = self._followed(pointer)
        return self._targets[pointer]

    def _followed(self, pointer: str) -> Any:
        target: Any = self._root
        root_id = target.get("$id") if isinstance(target, dict) else None
        # The rest identifies it within the schema that is named before.
        within = pointer.removeprefix(root_id) if isinstance(root_id, str) else pointer
        if within not in ("", "#") and not within.startswith("#/"):
            return self._anchored(within.removeprefix("#"), pointer)
        self._budget.spend(pointer.count("/"))
        for step in within.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and name in target:
                target = target[name]
            elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                raise self._unresolved(pointer)
        return target

    def _anchored(self, anchor: str, pointer: str) -> Any:
        """Return the schema named *anchor*, to which *pointer* leads."""
        nodes: list[Any] = [self._root] if pointer.endswith(f"#{anchor}") else []
        while nodes:
            node = nodes.pop()
            if isinstance(node, dict):
                if node.get("$anchor") == anchor:
                    return node
                nodes += node.values()
            elif isinstance(node, list):
                nodes += node
            self._budget.spend(1)
        raise self._unresolved(pointer)

    def _unresolved(self, pointer: str) -> BadRequest:
        return self._budget.refused(
            f"The reference {pointer[:128]!r} leads nowhere within this schema."
        )
