"""Fields inside messages, parts and functions that nothing here reads: each is named once.

Those of assistant messages are not looked at: they tell what an answer was, and ask for nothing.
"""

from collections.abc import Iterator

from gateway.dialects.openai_chat.checks import FUNCTION, PARTS
from gateway.dialects.openai_chat.translating import Translating
from gateway.exchange import Json

_MESSAGE = frozenset({"role", "content", "name", "tool_call_id"})
# Media parts may hold the fields of a source, too.
_SOURCE = frozenset({"filename", "format", "mime_type"})
_PARTS = {
    kind: frozenset({"type", *known}) | (_SOURCE if "detail" in known else frozenset())
    for kind, known in PARTS.items()
}
_TOOL = frozenset({"type", "function"})
_FUNCTION = frozenset(FUNCTION)


def note(translating: Translating) -> None:
    """Note the first of each field that is not read: a long history holds the same many times."""
    named: set[str] = set()
    for path, name in _found(translating.payload):
        if name not in named:
            named.add(name)
            translating.notes.drop(f"{path}.{name}")


def _found(payload: Json) -> Iterator[tuple[str, str]]:
    for index, message in enumerate(payload["messages"]):
        if message["role"] == "assistant":
            continue
        path = f"messages[{index}]"
        yield from _unread(message, _MESSAGE, path)
        if type(message.get("content")) is list:
            for at, part in enumerate(message["content"]):
                yield from _unread(part, _PARTS.get(part["type"]), f"{path}.content[{at}]")
    for index, tool in enumerate(payload.get("tools") or ()):
        if tool.get("type") == "function":
            yield from _unread(tool, _TOOL, f"tools[{index}]")
            yield from _unread(tool["function"], _FUNCTION, f"tools[{index}].function")
    for index, function in enumerate(payload.get("functions") or ()):
        yield from _unread(function, _FUNCTION, f"functions[{index}]")


def _unread(holder: Json, known: frozenset[str] | None, path: str) -> Iterator[tuple[str, str]]:
    if known is None:
        return
    for name in sorted(holder.keys() - known):
        if holder[name] is not None:
            yield path, name
