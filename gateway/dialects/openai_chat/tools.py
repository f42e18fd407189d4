"""Tools: functions, free-text tools, Gemini's built-in ones, and the choice among them."""

from dataclasses import dataclass, field
from typing import Any

from gateway.dialects.openai_chat import native, schema
from gateway.dialects.openai_chat.names import wire_name
from gateway.dialects.openai_chat.translating import Translating
from gateway.errors import BadRequest
from gateway.exchange import Json

# How clients call Gemini's built-in tools.
_BUILTIN_NAMES = {
    "codeExecution": "codeExecution",
    "code_execution": "codeExecution",
    "code_interpreter": "codeExecution",
    "googleSearch": "googleSearch",
    "google_search": "googleSearch",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    # What search was called for models that are gone.
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
# Those that do nothing without being told where, so that a bare name cannot mean them.
_NEEDS = {"fileSearch": "fileSearchStoreNames", "computerUse": "environment"}
# Settings of OpenAI's hosted tools that Gemini has under another name, and one that OpenAI demands.
_HOSTED_NAMES = {"vector_store_ids": "fileSearchStoreNames", "max_num_results": "topK"}
_MEANINGLESS = (("container", {"type": "auto"}),)
_FREE_TEXT: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY", "any": "ANY", "validated": "VALIDATED"}
_FREE: Json = {"mode": "AUTO"}
_FIELDS = frozenset({"tools", "tool_choice", "functions", "function_call", "web_search_options"})
# In these modes Gemini holds itself to the schemas (ai.google.dev: function-calling).
_HELD = frozenset({"ANY", "VALIDATED", "NONE"})
_ONE_AT_A_TIME = "Call at most one function at a time, and wait for its result."


@dataclass(slots=True)
class Tools:
    """What goes up: *declarations* by wire name, *builtins* by native name, the *choice*.

    *names* gives the client's name of each function that has another one upstream, *strict* the
    path of the first whose arguments must fit its schema.
    """

    declarations: dict[str, Json] = field(default_factory=dict)
    builtins: dict[str, Json] = field(default_factory=dict)
    choice: Json | None = None
    names: dict[str, str] = field(default_factory=dict)
    strict: str | None = None

    def put_into(self, body: Json, translating: Translating) -> None:
        """Add the tools and their configuration to *body*."""
        if self is _NONE:
            return
        tools: list[Json] = []
        if self.declarations:
            tools.append({"functionDeclarations": list(self.declarations.values())})
        tools += [{name: told} for name, told in self.builtins.items()]
        config: Json = {}
        if self.declarations and self.choice is not None:
            config["functionCallingConfig"] = self.choice
        self._combine(config, translating)
        if self.strict and config.get("functionCallingConfig", _FREE)["mode"] not in _HELD:
            translating.notes.drop(self.strict)
        retrieval = translating.google.get("retrievalConfig")
        if retrieval is not None and not tools:
            translating.notes.drop("google.retrieval_config")
        elif retrieval is not None:
            config["retrievalConfig"] = native.fit(
                retrieval, native.RETRIEVAL_CONFIG, "google.retrieval_config", translating.notes
            )
        if tools:
            body["tools"] = tools
            if config:
                body["toolConfig"] = config

    def _combine(self, config: Json, translating: Translating) -> None:
        """Add to *config* what the model needs to use both kinds of tools, or to show its own."""
        shown = translating.google.get("includeServerSideToolInvocations")
        if not self.builtins or "builtins_with_functions" in translating.can.refuses:
            if shown:
                translating.note_drop("google.include_server_side_tool_invocations")
            return
        if self.declarations and (self.choice is None or self.choice["mode"] == "AUTO"):
            # AUTO is refused where both are allowed (ai.google.dev: tool-combination).
            config["functionCallingConfig"] = {"mode": "VALIDATED"}
        if self.declarations or shown is True:
            config["includeServerSideToolInvocations"] = True


# Of a request without any, as most are; never changed.
_NONE = Tools()


def translate(translating: Translating) -> Tools:
    """Give all tools of the payload. Raises `BadRequest` for a choice of a tool that is not there.

    `functions` and `function_call` count where there are no `tools`.
    """
    if not translating.tells(_FIELDS):
        return _NONE
    payload, tools = translating.payload, Tools()
    for index, tool in enumerate(payload.get("tools") or ()):
        _take(tools, translating, tool, f"tools[{index}]")
    if payload.get("tools") and payload.get("functions"):
        translating.notes.drop("functions")
    else:
        for index, function in enumerate(payload.get("functions") or ()):
            path = f"functions[{index}]"
            _take_function(tools, translating, function, path, path)
    for index, tool in enumerate(_listed(translating.google.get("tools"))):
        _take_native(tools, translating, tool, f"google.tools[{index}]")
    _search(tools, translating)
    _choose(tools, translating)
    return tools


def one_at_a_time(translating: Translating, tools: Tools) -> str | None:
    """Give the instruction that stands for `parallel_tool_calls: false`, if it is needed."""
    if translating.payload.get("parallel_tool_calls") is not False or not tools.declarations:
        return None
    translating.notes.adjust("parallel_tool_calls", "instruction", "no_counterpart")
    return _ONE_AT_A_TIME


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadRequest("Expected an array of objects.", param="google.tools")
    return value


def _take(tools: Tools, translating: Translating, tool: Json, path: str) -> None:
    kind = tool.get("type")
    if kind == "function":
        function = tool["function"]
        _take_function(tools, translating, function, path, f"{path}.function")
    elif kind == "custom":
        _declare_custom(tools, translating, tool["custom"], path)
    elif kind in _BUILTIN_NAMES:
        name = _BUILTIN_NAMES[kind]
        given = tool.get(kind) if isinstance(tool.get(kind), dict) else tool
        told = _hosted(translating, name, given or {}, path)
        _add_builtin(tools, translating, name, told, path)
    else:
        _take_native(tools, translating, tool, path)


def _take_function(
    tools: Tools, translating: Translating, function: Json, path: str, described: str
) -> None:
    """Take the *function* that is *described* there; some names without parameters are built in."""
    builtin = _BUILTIN_NAMES.get(function["name"])
    if (
        builtin is not None
        and builtin not in _NEEDS
        and schema.is_empty(function.get("parameters"))
    ):
        _add_builtin(tools, translating, builtin, {}, path)
    else:
        _declare(tools, translating, function, described)


def _hosted(translating: Translating, name: str, tool: Json, path: str) -> Json:
    """Give those settings of a hosted *tool* that Gemini's own knows; the others are noted."""
    told: Json = {}
    for key, value in tool.items():
        wire = _HOSTED_NAMES.get(key) or native.camel(key)
        if wire in native.BUILTINS[name]:
            told[wire] = value
        elif value is not None and (key, value) not in _MEANINGLESS and key != "type":
            translating.notes.drop(f"{path}.{key}")
    return told


def _take_native(tools: Tools, translating: Translating, tool: Json, path: str) -> None:
    """Take a tool in Gemini's own form: its name is the key."""
    found = False
    for key, value in tool.items():
        name = _BUILTIN_NAMES.get(key)
        if name is not None:
            found = True
            told = value if value is not None else {}
            _add_builtin(tools, translating, name, told, f"{path}.{key}")
    if not found:
        translating.notes.drop(path)
        return
    for key in tool.keys() - _BUILTIN_NAMES.keys() - {"type"}:
        translating.notes.drop(f"{path}.{key}")


def _add_builtin(tools: Tools, translating: Translating, name: str, told: Any, path: str) -> None:
    fitted = native.fit(told, native.BUILTINS[name], path, translating.notes)
    if _NEEDS.get(name, "") not in ("", *fitted):
        if name == "computerUse":
            fitted["environment"] = "ENVIRONMENT_BROWSER"
        else:
            raise BadRequest(f"{name} needs {_NEEDS[name]}.", param=path, code="missing_field")
    tools.builtins[name] = fitted


def _declare(tools: Tools, translating: Translating, function: Json, path: str) -> None:
    name = wire_name(function["name"])
    if name in tools.declarations:
        translating.notes.drop(path)
        return
    declaration: Json = {"name": name}
    if function.get("description"):
        declaration["description"] = function["description"]
    parameters = function.get("parameters")
    if not schema.is_empty(parameters):
        normal, lost = schema.normalise(parameters, f"{path}.parameters", translating.steps)
        declaration["parametersJsonSchema"] = normal
        if lost:
            translating.notes.adjust(f"{path}.parameters", "without_" + "+".join(lost), "schema")
    if function.get("strict") and tools.strict is None:
        tools.strict = f"{path}.strict"
    tools.declarations[name] = declaration
    if name != function["name"]:
        tools.names[name] = function["name"]


def _declare_custom(tools: Tools, translating: Translating, custom: Json, path: str) -> None:
    description = custom.get("description") or ""
    grammar = (custom.get("format") or {}).get("grammar") or custom.get("format") or {}
    if isinstance(grammar, dict) and isinstance(grammar.get("definition"), str):
        # Gemini cannot be held to a grammar, but it can be told.
        description += f"\nThe input must match this grammar:\n{grammar['definition']}"
        translating.notes.adjust(f"{path}.custom.format", "description", "no_counterpart")
    function = {"name": custom["name"], "description": description, "parameters": _FREE_TEXT}
    _declare(tools, translating, function, f"{path}.custom")


def _search(tools: Tools, translating: Translating) -> None:
    options = translating.payload.get("web_search_options")
    if options is None:
        return
    tools.builtins.setdefault("googleSearch", {})
    for name, value in options.items():
        if value is not None:
            translating.notes.drop(f"web_search_options.{name}")


def _choose(tools: Tools, translating: Translating) -> None:
    """Settle the choice: the first of its three forms counts, the others are noted."""
    told = {
        "tool_choice": translating.payload.get("tool_choice"),
        "function_call": translating.payload.get("function_call"),
        "google.function_calling_config": translating.google.get("functionCallingConfig"),
    }
    field, *overruled = [name for name, choice in told.items() if choice is not None] or [""]
    for name in overruled:
        translating.notes.drop(name)
    choice = told.get(field)
    if field == "google.function_calling_config":
        _choose_natively(tools, translating, choice)
    elif field == "function_call" and isinstance(choice, dict):
        _choose_as_told(tools, translating, {"type": "function", "name": choice["name"]}, field)
    elif field:
        _choose_as_told(tools, translating, choice, field)
    if not tools.declarations and (tools.choice or {}).get("mode") == "ANY":
        # A built-in tool cannot be demanded, and none at all even less.
        translating.notes.adjust(field, "auto", "builtin" if tools.builtins else "no_functions")


def _choose_as_told(tools: Tools, translating: Translating, choice: Any, field: str) -> None:
    if isinstance(choice, str):
        _choose_mode(tools, _MODES[choice])
        return
    kind = choice.get("type")
    if kind in _MODES:
        _choose_mode(tools, _MODES[kind])
        return
    if kind == "allowed_tools":
        allowed = choice.get("allowed_tools") or choice
        names = [_chosen(tool) for tool in allowed.get("tools") or ()]
        mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
    else:
        names, mode = [_chosen(choice)], "ANY"
    functions = [name for name in names if wire_name(name) in tools.declarations]
    known = frozenset(functions)
    others = [name for name in names if name not in known]
    unknown = [name for name in others if name not in _BUILTIN_NAMES]
    if unknown or not names:
        raise BadRequest(f"There is no tool named {(unknown or [''])[0][:64]!r}.", param=field)
    if others:
        # A built-in tool cannot be demanded; it is there to be used.
        translating.notes.adjust(field, "auto", "builtin")
    if functions:
        tools.choice = {"mode": mode, "allowedFunctionNames": [wire_name(n) for n in functions]}


def _choose_natively(tools: Tools, translating: Translating, told: Any) -> None:
    path = "google.function_calling_config"
    config = native.fit(told, native.FUNCTION_CALLING, path, translating.notes)
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
        # The declarations stay: the history may hold calls.
        tools.builtins.clear()
    tools.choice = {"mode": mode}


def _chosen(tool: Json) -> str:
    told = next((tool[k] for k in ("function", "custom") if isinstance(tool.get(k), dict)), tool)
    name = told.get("name") or tool.get("type") or ""
    return name if isinstance(name, str) else ""
