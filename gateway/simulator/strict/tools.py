"""Tools and tool choice: names, limits, and which tools a model combines."""

import re

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal, bad_request
from gateway.simulator.strict.output import wants_json

_JSON_MIME = "with a response mime type: 'application/json' is unsupported"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_MOST = 512
# Built-in tool: the feature of `Model.refuses` that forbids it, and its name in messages.
_FEATURES = {
    "codeExecution": ("code", "Code execution"),
    "googleSearch": ("search", "Search Grounding"),
    "googleSearchRetrieval": ("search", "Search Grounding"),
    "googleMaps": ("maps", "Google Maps tool"),
    "urlContext": ("urls", "Browse tool"),
    "fileSearch": ("maps", "File search tool"),
    "computerUse": ("functions", "Computer Use"),
    "mcpServers": ("functions", "MCP servers"),
}
BUILT_INS = frozenset(_FEATURES)


def check(request: Json, model: Model) -> None:
    """Refuse tools and tool choices that the real API refuses."""
    tools = request.get("tools") or []
    declared = declarations(request)
    built_ins = {name for tool in tools for name in tool if name in BUILT_INS}
    mode, allowed = choice(request)
    _check_names(declared)
    _check_supported(declared, built_ins, model)
    _check_choice(mode, allowed, declared, any_tool=bool(tools))
    if built_ins and declared:
        _check_combination(request, mode, model)
    if wants_json(request) and (declared or built_ins):
        _check_json(mode, model, functions=bool(declared))
        _check_maps(request, built_ins)


def declarations(request: Json) -> list[Json]:
    """Return all function declarations of *request*."""
    return [
        declaration
        for tool in request.get("tools") or ()
        for declaration in tool.get("functionDeclarations", ())
    ]


def choice(request: Json) -> tuple[str, list[str]]:
    """Return the function calling mode and the allowed names."""
    config = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
    return config.get("mode", "AUTO"), config.get("allowedFunctionNames", [])


def _check_names(declared: list[Json]) -> None:
    if len(declared) > _MOST:
        raise Refusal(f"At most {_MOST} function declarations are allowed.")
    seen: set[str] = set()
    for at, declaration in enumerate(declared):
        name = declaration.get("name") or ""
        if not _NAME.fullmatch(name):
            field = f"tools[0].function_declarations[{at}].name"
            text = (
                "Invalid function name. Must start with a letter or an underscore. Must be"
                " alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes"
                " (-), with a maximum length of 64."
            )
            raise bad_request((field, f"* GenerateContentRequest.{field}: {text}\n"))
        if name in seen:
            raise Refusal(f"Duplicate function declaration found: {name}")
        seen.add(name)


def _check_supported(declared: list[Json], built_ins: set[str], model: Model) -> None:
    if declared and "functions" in model.refuses:
        raise Refusal(f"Function calling is not enabled for models/{model.name}")
    for name in sorted(built_ins):
        feature, title = _FEATURES[name]
        if feature in model.refuses:
            raise Refusal(f"{title} is not enabled for models/{model.name}")
        if name == "googleSearchRetrieval":
            raise Refusal(
                "google_search_retrieval is not supported. Please use google_search tool instead."
            )


def _check_choice(mode: str, allowed: list[str], declared: list[Json], *, any_tool: bool) -> None:
    if mode in {"ANY", "VALIDATED"} and not any_tool:
        raise Refusal("Function calling config is set without function_declarations.")
    if allowed and mode not in {"ANY", "VALIDATED"}:
        raise Refusal(
            "Allowed function names can only be set when the function calling mode is ANY or"
            " VALIDATED."
        )
    names = {declaration["name"] for declaration in declared}
    for name in allowed:
        if name not in names:
            raise Refusal(f"Allowed function name {name!r} is not a declared function.")


def _check_combination(request: Json, mode: str, model: Model) -> None:
    if model.version < (3, 0):
        raise Refusal("Tool use with function calling is unsupported by the model.")
    if not (request.get("toolConfig") or {}).get("includeServerSideToolInvocations"):
        raise Refusal(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools"
            " with Function calling."
        )
    if mode == "AUTO" and model.version >= (3, 5):
        raise Refusal(
            "Function calling mode AUTO is not supported together with built-in tools. Use"
            " VALIDATED."
        )


def _check_json(mode: str, model: Model, *, functions: bool) -> None:
    if functions and mode == "ANY":
        raise Refusal(f"Forced function calling (ANY mode) {_JSON_MIME}")
    if model.version < (3, 0):
        raise Refusal(f"{'Function calling' if functions else 'Tool use'} {_JSON_MIME}")


def _check_maps(request: Json, built_ins: set[str]) -> None:
    config = request.get("generationConfig") or {}
    if "googleMaps" in built_ins and "responseMimeType" in config:
        raise Refusal(f"Google Maps tool {_JSON_MIME}. Use response_format.")
