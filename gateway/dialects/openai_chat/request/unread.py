"""Fields inside messages, parts and functions that are ignored: each is reported once.

Those of assistant messages are not examined: they record an answer, and request nothing.
"""

from collections.abc import Iterator

from gateway.dialects.openai_chat.checks import FUNCTION, PARTS
from gateway.dialects.openai_chat.translation import Translation
from gateway.exchange import Json
from gateway.media.parts import ABOUT_SOURCE, SOURCES, holder_field

_MESSAGE = frozenset({"role", "content", "name", "tool_call_id"})
# Media parts may also hold what is said of a source.
_PARTS = {
    kind: frozenset({"type", *known, *(ABOUT_SOURCE if "detail" in known else ())})
    for kind, known in PARTS.items()
}
# The fields that are read of the object with a medium's source.
_HOLDER = frozenset({*ABOUT_SOURCE, *SOURCES, "detail", "video_metadata"})
_TOOL = frozenset({"type", "function"})
_FUNCTION = frozenset(FUNCTION)
_CUSTOM_TOOL = frozenset({"type", "custom"})
_CUSTOM = frozenset({"name", "description", "format"})
# The fields that are read of objects at the top of the payload.
_OBJECTS = {
    "reasoning": frozenset({"effort", "max_tokens", "enabled", "exclude"}),
    "thinking": frozenset({"type", "budget_tokens"}),
    "audio": frozenset({"voice", "format"}),
    "stream_options": frozenset({"include_usage", "include_obfuscation"}),
    "response_format": frozenset({"type", "json_schema"}),
    "function_call": frozenset({"name"}),
    "tool_choice": frozenset(
        {"type", "name", "function", "custom", "mode", "tools", "allowed_tools"}
    ),
}
# Those of objects within these.
_INNER = {
    "response_format": {"json_schema": frozenset({"name", "description", "schema", "strict"})},
    "tool_choice": {
        "allowed_tools": frozenset({"mode", "tools"}),
        "function": frozenset({"name"}),
        "custom": frozenset({"name"}),
    },
    "audio": {"voice": frozenset({"id"})},
}
_NONE: dict[str, frozenset[str]] = {}
_FIELDS = frozenset({"tools", "functions", *_OBJECTS})


def note(translation: Translation) -> None:
    """Note the first of each ignored field: a long history repeats the same one many times."""
    named: set[str] = set()
    for path, holder, known in _places(translation.payload):
        for name in sorted(holder.keys() - known - named):
            if holder[name] is not None:
                named.add(name)
                translation.notes.drop(f"{path}.{name}")


def _places(payload: Json) -> Iterator[tuple[str, Json, frozenset[str]]]:
    """Yield each object that may hold ignored fields: path, object, and fields that are read."""
    for index, message in enumerate(payload["messages"]):
        if message["role"] == "assistant":
            continue
        if not _MESSAGE.issuperset(message):
            yield f"messages[{index}]", message, _MESSAGE
        content = message.get("content")
        if type(content) is list:
            yield from _parts(content, f"messages[{index}].content")
    if not _FIELDS.isdisjoint(payload):
        yield from _tools(payload)
        for name, known in _OBJECTS.items():
            if type(payload.get(name)) is dict:
                yield name, payload[name], known
                yield from _inner(payload[name], name)


def _inner(outer: Json, path: str) -> Iterator[tuple[str, Json, frozenset[str]]]:
    for name, known in _INNER.get(path, _NONE).items():
        if type(outer.get(name)) is dict:
            yield f"{path}.{name}", outer[name], known


def _parts(content: list[Json], path: str) -> Iterator[tuple[str, Json, frozenset[str]]]:
    for at, part in enumerate(content):
        kind = part["type"]
        known = _PARTS.get(kind)
        if known is None:
            continue
        if kind == "input_file" or not known.issuperset(part):
            yield f"{path}[{at}]", part, _with_one_source(part, known)
        field = holder_field(part)
        if field:
            yield f"{path}[{at}].{field}", part[field], _with_one_source(part[field], _HOLDER)


def _with_one_source(holder: Json, known: frozenset[str]) -> frozenset[str]:
    """Return *known* without those sources of *holder* that come after the one that is read."""
    present = [name for name in SOURCES if holder.get(name) is not None]
    return known.difference(present[1:])


def _tools(payload: Json) -> Iterator[tuple[str, Json, frozenset[str]]]:
    for index, tool in enumerate(payload.get("tools") or ()):
        if tool.get("type") == "function":
            yield f"tools[{index}]", tool, _TOOL
            yield f"tools[{index}].function", tool["function"], _FUNCTION
        elif tool.get("type") == "custom":
            yield f"tools[{index}]", tool, _CUSTOM_TOOL
            yield f"tools[{index}].custom", tool["custom"], _CUSTOM
    for index, function in enumerate(payload.get("functions") or ()):
        yield f"functions[{index}]", function, _FUNCTION
