"""Function calls whose arguments come in pieces: `partialArgs`, one path and value at a time.

Seen in recorded Vertex AI streams. A call begins with a name and `willContinue`, and ends with a
piece that does not continue, with the next call, or with the reply.
"""

import re
from itertools import pairwise
from typing import Any

from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.exchange import Json

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[['\"]([^'\"]*)['\"]\]")
# Otherwise it is `nullValue`, None: in JSON it may be a word (google-genai 3.6: "NULL_VALUE").
_VALUES = ("stringValue", "numberValue", "boolValue")
# No model writes a list with an index this far beyond the last one.
_MAX_GAP = 1024


def is_piece(call: Json) -> bool:
    """Tell whether *call* is a piece of a call, not a whole one."""
    return bool(call.get("willContinue") or "partialArgs" in call or not call.get("name"))


def take(choice: Choice, part: Json) -> None:
    """Add the piece in *part* to the current call, which it may begin."""
    call = part["functionCall"]
    if choice.pending is None:
        facts = {name: call[name] for name in ("name", "id") if name in call}
        choice.pending = {**part, "functionCall": {**facts, "args": call.get("args") or {}}}
    elif "thoughtSignature" in part:
        choice.pending["thoughtSignature"] = part["thoughtSignature"]
    for piece in call.get("partialArgs") or ():
        path = f".args{piece['jsonPath'].removeprefix('$')}"
        _put(choice.pending["functionCall"], path, piece)


def _put(root: Json, path: str, piece: Json) -> None:
    """Set the value at *path* or, for a string that continues, extend it."""
    value: Any = next((piece[name] for name in _VALUES if name in piece), None)
    steps = [int(index) if index else key or quoted for key, index, quoted in _STEP.findall(path)]
    node: Any = root
    for step, following in pairwise(steps):
        _make_room(node, step)
        if _at(node, step) is None:
            node[step] = [] if isinstance(following, int) else {}
        node = node[step]
    _make_room(node, steps[-1])
    before = _at(node, steps[-1])
    if isinstance(before, str) and before:
        # A piece without a value ends the string.
        value = before if value is None else before + value
    node[steps[-1]] = value


def _make_room(node: Any, step: int | str) -> None:
    if isinstance(step, int):
        if step > len(node) + _MAX_GAP:
            raise ValueError("a list index out of all proportion")
        node += [None] * (step + 1 - len(node))


def _at(node: Any, step: int | str) -> Any:
    return node[step] if isinstance(step, int) else node.get(step)
