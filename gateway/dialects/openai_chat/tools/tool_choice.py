"""The choice among tools: OpenAI's two forms, and Gemini's own."""

from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.names import wire_name
from gateway.dialects.openai_chat.tools.builtin_tools import BUILTIN_NAMES
from gateway.dialects.openai_chat.tools.offered_tools import Tools
from gateway.dialects.openai_chat.translation import Translation
from gateway.errors import BadRequest
from gateway.exchange import Json

_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY", "any": "ANY", "validated": "VALIDATED"}


def choose(tools: Tools, translation: Translation) -> None:
    """Decide the choice: the first of its three forms counts, the others are noted.

    Raises `BadRequest` for a choice of a tool that does not exist.
    """
    choices = {
        "google.function_calling_config": translation.google.get("functionCallingConfig"),
        "tool_choice": translation.payload.get("tool_choice"),
        "function_call": translation.payload.get("function_call"),
    }
    field, *overruled = [name for name, choice in choices.items() if choice is not None] or [""]
    for name in overruled:
        translation.notes.drop(name)
    choice = choices.get(field)
    if field == "google.function_calling_config":
        _choose_natively(tools, translation, choice)
    elif field == "function_call" and isinstance(choice, dict):
        _choose_openai(tools, translation, {"type": "function", "name": choice["name"]}, field)
    elif field:
        _choose_openai(tools, translation, choice, field)
    if not tools.declarations and (tools.choice or {}).get("mode") == "ANY":
        # A built-in tool cannot be demanded, and a missing one even less.
        translation.notes.adjust(field, "auto", "builtin" if tools.builtins else "no_functions")


def _choose_openai(tools: Tools, translation: Translation, choice: Any, field: str) -> None:
    if isinstance(choice, str):
        _choose_mode(tools, _MODES[choice])
        return
    kind = choice.get("type")
    if kind in _MODES:
        _choose_mode(tools, _MODES[kind])
        return
    if kind == "allowed_tools":
        allowed = choice.get("allowed_tools") or choice
        names = [_name_of(tool) for tool in allowed.get("tools") or ()]
        mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
    else:
        names, mode = [_name_of(choice)], "ANY"
    functions = [name for name in names if wire_name(name) in tools.declarations]
    known = frozenset(functions)
    others = [name for name in names if name not in known]
    unknown = [name for name in others if name not in BUILTIN_NAMES]
    if unknown or not names:
        raise BadRequest(f"There is no tool named {(unknown or [''])[0][:64]!r}.", param=field)
    if others:
        # A built-in tool cannot be demanded, only offered.
        translation.notes.adjust(field, "auto", "builtin")
    if functions:
        tools.choice = {"mode": mode, "allowedFunctionNames": [wire_name(n) for n in functions]}


def _choose_natively(tools: Tools, translation: Translation, setting: Any) -> None:
    path = "google.function_calling_config"
    config = native.fit(setting, native.FUNCTION_CALLING, path, translation.notes)
    names = config.get("allowedFunctionNames") or []
    unknown = [name for name in names if wire_name(name) not in tools.declarations]
    if unknown:
        raise BadRequest(f"There is no function named {unknown[0][:64]!r}.", param=path)
    mode = config.get("mode", "AUTO")
    _choose_mode(tools, mode)
    if names and mode != "NONE":
        # Names go with ANY and VALIDATED only.
        mode = "VALIDATED" if mode == "AUTO" else mode
        tools.choice = {"mode": mode, "allowedFunctionNames": [wire_name(name) for name in names]}


def _choose_mode(tools: Tools, mode: str) -> None:
    if mode == "NONE":
        # The declarations stay: the history may contain calls.
        tools.builtins.clear()
    tools.choice = {"mode": mode}


def _name_of(tool: Json) -> str:
    holder = next((tool[k] for k in ("function", "custom") if isinstance(tool.get(k), dict)), tool)
    name = holder.get("name") or tool.get("type") or ""
    return name if isinstance(name, str) else ""
