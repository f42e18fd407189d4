"""The client's functions and free-text tools, as Gemini's declarations."""

from typing import Any

from gateway.dialects.openai_chat import schema
from gateway.dialects.openai_chat.names import wire_name
from gateway.dialects.openai_chat.tools.offered_tools import Tools
from gateway.dialects.openai_chat.translation import Translation
from gateway.exchange import Json

_FREE_TEXT: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
# Keywords that define the members of an object of parameters, and their values that define none.
_MEMBER_KEYWORDS = (
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
_NO_MEMBERS: tuple[Any, ...] = (None, True, False, {}, [])


def declare(tools: Tools, translation: Translation, function: Json, path: str) -> None:
    """Declare the *function* at *path*; of several with one name the first counts."""
    name = wire_name(function["name"])
    if name in tools.declarations:
        translation.notes.drop(path)
        return
    declaration: Json = {"name": name}
    if function.get("description"):
        declaration["description"] = function["description"]
    parameters = function.get("parameters")
    if not is_empty(parameters):
        normalised, lost = schema.normalise(parameters, f"{path}.parameters", translation.steps)
        declaration["parametersJsonSchema"] = normalised
        if lost:
            translation.notes.adjust(f"{path}.parameters", "without_" + "+".join(lost), "schema")
    if function.get("strict") and tools.strict is None:
        tools.strict = f"{path}.strict"
    tools.declarations[name] = declaration
    if name != function["name"]:
        tools.names[name] = function["name"]


def declare_custom(tools: Tools, translation: Translation, custom: Json, path: str) -> None:
    """Declare a tool that takes free text as a function with one string."""
    description = custom.get("description") or ""
    grammar = (custom.get("format") or {}).get("grammar") or custom.get("format") or {}
    if isinstance(grammar, dict) and isinstance(grammar.get("definition"), str):
        # Gemini cannot be constrained to a grammar, but it can be told about it.
        description += f"\nThe input must match this grammar:\n{grammar['definition']}"
        translation.notes.adjust(f"{path}.custom.format", "description", "no_counterpart")
    function = {"name": custom["name"], "description": description, "parameters": _FREE_TEXT}
    declare(tools, translation, function, f"{path}.custom")


def is_empty(parameters: Any) -> bool:
    """Tell whether *parameters*, a schema, describes none at all."""
    return not isinstance(parameters, dict) or all(
        parameters.get(name) in _NO_MEMBERS for name in _MEMBER_KEYWORDS
    )
