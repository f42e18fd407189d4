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
    for path, holder, known in _places(translating.payload):
        for name in sorted(holder.keys() - known - named):
            if holder[name] is not None:
                named.add(name)
                translating.notes.drop(f"{path}.{name}")


def _places(payload: Json) -> Iterator[tuple[str, Json, frozenset[str]]]:
    """Give the path of each object that holds more than is read of it, it, and what is read."""
    for index, message in enumerate(payload["messages"]):
        if message["role"] == "assistant":
            continue
        if not _MESSAGE.issuperset(message):
            yield f"messages[{index}]", message, _MESSAGE
        content = message.get("content")
        if type(content) is not list:
            continue
        for at, part in enumerate(content):
            known = _PARTS.get(part["type"])
            if known is not None and not known.issuperset(part):
                yield f"messages[{index}].content[{at}]", part, known
    for index, tool in enumerate(payload.get("tools") or ()):
        if tool.get("type") == "function":
            yield f"tools[{index}]", tool, _TOOL
            yield f"tools[{index}].function", tool["function"], _FUNCTION
    for index, function in enumerate(payload.get("functions") or ()):
        yield f"functions[{index}]", function, _FUNCTION
