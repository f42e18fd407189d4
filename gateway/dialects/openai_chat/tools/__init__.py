"""Tools: functions, free-text tools, Gemini's built-in ones, and the choice among them.

Each kind adds what it offers to `offered_tools`, whose form in the body depends on all of them.
"""

from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.tools import builtin_tools, function_tools, tool_choice
from gateway.dialects.openai_chat.tools.builtin_tools import BUILTIN_NAMES, NEEDS
from gateway.dialects.openai_chat.tools.offered_tools import NO_TOOLS, Tools
from gateway.dialects.openai_chat.translation import Translation
from gateway.errors import BadRequest
from gateway.exchange import Json

_FIELDS = frozenset({"tools", "tool_choice", "functions", "function_call", "web_search_options"})
_ONE_AT_A_TIME = "Call at most one function at a time, and wait for its result."


def translate(translation: Translation) -> Tools:
    """Return all tools of the payload. Raises `BadRequest` for a choice of a missing tool.

    `functions` and `function_call` count if there are no `tools`.
    """
    if not translation.has_any(_FIELDS):
        return NO_TOOLS
    payload, tools = translation.payload, Tools()
    for index, tool in enumerate(payload.get("tools") or ()):
        _take(tools, translation, tool, f"tools[{index}]")
    if payload.get("tools") and payload.get("functions"):
        translation.notes.drop("functions")
    else:
        for index, function in enumerate(payload.get("functions") or ()):
            path = f"functions[{index}]"
            _take_function(tools, translation, function, path, path)
    for index, tool in enumerate(_listed(translation.google.get("tools"))):
        builtin_tools.take_native(tools, translation, tool, f"google.tools[{index}]")
    builtin_tools.take_search(tools, translation)
    tool_choice.choose(tools, translation)
    return tools


def one_at_a_time(translation: Translation, tools: Tools) -> str | None:
    """Return the instruction that replaces `parallel_tool_calls: false`, if it is needed."""
    if translation.payload.get("parallel_tool_calls") is not False or not tools.declarations:
        return None
    translation.notes.adjust("parallel_tool_calls", "instruction", "no_counterpart")
    return _ONE_AT_A_TIME


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadRequest("Expected an array of objects.", param="google.tools")
    native.check_size(value, "google.tools")
    return value


def _take(tools: Tools, translation: Translation, tool: Json, path: str) -> None:
    kind = tool.get("type")
    if kind == "function":
        function = tool["function"]
        _take_function(tools, translation, function, path, f"{path}.function")
    elif kind == "custom":
        function_tools.declare_custom(tools, translation, tool["custom"], path)
    elif kind in BUILTIN_NAMES:
        builtin_tools.take_hosted(tools, translation, tool, path)
    else:
        builtin_tools.take_native(tools, translation, tool, path)


def _take_function(
    tools: Tools, translation: Translation, function: Json, path: str, described: str
) -> None:
    """Add the *function* *described* there; some names without parameters are built in."""
    builtin = BUILTIN_NAMES.get(function["name"])
    if (
        builtin is not None
        and builtin not in NEEDS
        and function_tools.is_empty(function.get("parameters"))
    ):
        builtin_tools.add(tools, translation, builtin, {}, path)
    else:
        function_tools.declare(tools, translation, function, described)
