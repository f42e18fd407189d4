"""Gemini's built-in tools: the names that clients use for them, and their settings."""

from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.tools.offered_tools import Tools
from gateway.dialects.openai_chat.translation import Translation
from gateway.errors import BadRequest
from gateway.exchange import Json

# The names that clients use for Gemini's built-in tools.
BUILTIN_NAMES = {
    "codeExecution": "codeExecution",
    "code_execution": "codeExecution",
    "code_interpreter": "codeExecution",
    "googleSearch": "googleSearch",
    "google_search": "googleSearch",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    # The name of search for models that are gone.
    "googleSearchRetrieval": "googleSearch",
    "google_search_retrieval": "googleSearch",
    "urlContext": "urlContext",
    "url_context": "urlContext",
    "googleMaps": "googleMaps",
    "google_maps": "googleMaps",
    "fileSearch": "fileSearch",
    "file_search": "fileSearch",
    "computerUse": "computerUse",
    "computer_use": "computerUse",
}
# The setting without which a tool does nothing: a bare name cannot mean these tools.
NEEDS = {"fileSearch": "fileSearchStoreNames", "computerUse": "environment"}
# The tool whose setting is a list.
_SERVERS = "mcpServers"
_SERVERS_NAMES = frozenset({_SERVERS, "mcp_servers"})
# Settings of OpenAI's hosted tools that have another name in Gemini, and one that OpenAI requires.
_HOSTED_NAMES = {"vector_store_ids": "fileSearchStoreNames", "max_num_results": "topK"}
_MEANINGLESS = (("container", {"type": "auto"}),)


def take_hosted(tools: Tools, translation: Translation, tool: Json, path: str) -> None:
    """Add a tool that OpenAI hosts as well: its type is the name, its settings are OpenAI's."""
    kind = tool["type"]
    name = BUILTIN_NAMES[kind]
    inner = tool.get(kind)
    settings = _hosted_settings(translation, name, tool, path)
    if isinstance(inner, dict):
        settings |= _hosted_settings(translation, name, inner, f"{path}.{kind}")
    add(tools, translation, name, settings, path)


def take_native(tools: Tools, translation: Translation, tool: Json, path: str) -> None:
    """Add a tool in Gemini's own form: its name is the key."""
    has_builtin = False
    for key, value in tool.items():
        name = BUILTIN_NAMES.get(key)
        if name is not None:
            has_builtin = True
            settings = value if value is not None else {}
            add(tools, translation, name, settings, f"{path}.{key}")
        elif key in _SERVERS_NAMES and value is not None:
            has_builtin = True
            fitted = native.fit(value, native.MCP_SERVERS, f"{path}.{key}", translation.notes)
            tools.builtins[_SERVERS] = [*tools.builtins.get(_SERVERS, ()), *fitted]
    if not has_builtin:
        translation.notes.drop(path)
        return
    for key in tool.keys() - BUILTIN_NAMES.keys() - _SERVERS_NAMES - {"type"}:
        translation.notes.drop(f"{path}.{key}")


def add(tools: Tools, translation: Translation, name: str, settings: Any, path: str) -> None:
    """Add the tool *name* with the *settings* at *path*; of several settings the first counts."""
    fitted = native.fit(settings, native.BUILTINS[name], path, translation.notes)
    known = tools.builtins.get(name, {})
    if any(known.get(key, value) != value for key, value in fitted.items()):
        translation.notes.drop(path)
    fitted |= known
    if NEEDS.get(name, "") not in ("", *fitted):
        if name == "computerUse":
            fitted["environment"] = "ENVIRONMENT_BROWSER"
        else:
            raise BadRequest(f"{name} needs {NEEDS[name]}.", param=path, code="missing_field")
    tools.builtins[name] = fitted


def take_search(tools: Tools, translation: Translation) -> None:
    """Add `web_search_options`, which request the search by their presence."""
    options = translation.payload.get("web_search_options")
    if options is None:
        return
    tools.builtins.setdefault("googleSearch", {})
    for name, value in options.items():
        if value is not None:
            translation.notes.drop(f"web_search_options.{name}")


def _hosted_settings(translation: Translation, name: str, tool: Json, path: str) -> Json:
    """Return those settings of a hosted *tool* that Gemini's has, too; the others are noted."""
    settings: Json = {}
    for key, value in tool.items():
        wire = _HOSTED_NAMES.get(key) or native.camel(key)
        shape = native.BUILTINS[name].get(wire)
        if value is None or key == "type" or (key == tool.get("type") and isinstance(value, dict)):
            continue
        if shape is not None:
            settings[wire] = native.fit(value, shape, f"{path}.{key}", translation.notes)
        elif (key, value) not in _MEANINGLESS:
            translation.notes.drop(f"{path}.{key}")
    return settings
