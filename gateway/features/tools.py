"""Removes tools that the model refuses, and adapts the tool configuration to the others."""

from dataclasses import replace

from gateway.exchange import Json, Notes, UpstreamCall
from gateway.features.change import REASON, Change


def without_functions(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Remove the client's functions."""
    tools = call.body.get("tools") or []
    kept = [tool for tool in tools if "functionDeclarations" not in tool]
    if len(kept) == len(tools):
        return call
    notes.adjust("tools", "dropped", REASON)
    return replace(call, body=_with_tools(call.body, kept))


def without_builtins(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Remove all of Gemini's built-in tools."""
    tools = call.body.get("tools") or []
    names = {name for tool in tools for name in tool} - {"functionDeclarations"}
    return _without_tools(call, names, notes)


def without_builtin(name: str) -> Change:
    """Return the change that removes one built-in tool."""
    return lambda call, notes: _without_tools(call, {name}, notes)


def without_builtins_beside_functions(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Remove the built-in tools if there are functions, too."""
    tools = call.body.get("tools") or []
    declared = sum("functionDeclarations" in tool for tool in tools)
    return without_builtins(call, notes) if 0 < declared < len(tools) else call


def _without_tools(call: UpstreamCall, names: set[str], notes: Notes) -> UpstreamCall:
    """Return *call* without the built-in tools called *names*; each tool has one name."""
    tools = call.body.get("tools") or []
    kept = [tool for tool in tools if names.isdisjoint(tool)]
    if len(kept) == len(tools):
        return call
    for name in sorted(names.intersection(name for tool in tools for name in tool)):
        notes.drop(f"tools.{name}")
    return replace(call, body=_with_tools(call.body, kept))


def _with_tools(body: Json, tools: list[Json]) -> Json:
    """Return *body* with other *tools*, and a tool configuration that fits them."""
    body = {**body, "tools": tools}
    if not tools:
        del body["tools"]
    config = dict(body.pop("toolConfig", None) or {})
    functions = any("functionDeclarations" in tool for tool in tools)
    if not functions:
        config.pop("functionCallingConfig", None)
    if not functions or len(tools) == 1:
        # Settings that need both kinds of tools.
        config.pop("includeServerSideToolInvocations", None)
        if config.get("functionCallingConfig") == {"mode": "VALIDATED"}:
            config["functionCallingConfig"] = {"mode": "AUTO"}
    if config:
        body["toolConfig"] = config
    return body
