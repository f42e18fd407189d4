"""What a body looks like without a feature that the model refuses: one change for each feature.

The same changes serve the models that are known to refuse (`gateway.models`), those seen to refuse
(`LearnedRefusals`) and the answer to a refusal (`gateway.healing`). A body is never changed in
place: parts of it may be shared.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import orjson

from gateway.calls import config_of, with_config
from gateway.exchange import Json, Notes, UpstreamCall

# Documented by Google for histories of other models (ai.google.dev: thought-signatures).
BYPASS = "skip_thought_signature_validator"

# The most answers that one request may ask for (Gemini's own limit).
MAX_CANDIDATES = 8

Change = Callable[[UpstreamCall, Notes], UpstreamCall]

Limit = Callable[[UpstreamCall, Notes, int, int], UpstreamCall]

_REASON = "model"
# Gemini's names of generation settings, and the client's.
_CLIENT_NAMES = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
    "seed": "seed",
    "thinkingConfig": "thinking",
    "mediaResolution": "media_resolution",
}

_JSON_ONLY = (
    "Whenever you answer instead of calling a tool, the whole answer must be one JSON value, "
    "without any text or code fence around it."
)


def without(call: UpstreamCall, features: Iterable[str], notes: Notes) -> UpstreamCall:
    """Give *call* without *features*, names of `CHANGES`; unknown ones are passed over.

    A feature of `LIMITS` has the values that the model takes behind it: `max_tokens=0..8192`.
    """
    for feature in features:
        change = CHANGES.get(feature)
        if change is not None:
            call = change(call, notes)
        elif (told := _LIMIT.fullmatch(feature)) is not None:
            call = LIMITS[told["name"]](call, notes, int(told["least"]), int(told["most"]))
    return call


def limit(name: str, least: int, most: int) -> str:
    """Give the feature that is all but *least* to *most* of what *name*, one of `LIMITS`, sets."""
    return f"{name}={least}..{most}"


def instruct(body: Json, text: str) -> Json:
    """Give *body* with *text* at the end of what the model is told beforehand.

    Cached content has an instruction of its own, beside which none may be sent: then *text* is
    at the beginning of the first turn.
    """
    if "cachedContent" in body:
        first, *rest = body["contents"]
        return {**body, "contents": [{**first, "parts": [{"text": text}, *first["parts"]]}, *rest]}
    told = (body.get("systemInstruction") or {}).get("parts") or []
    return {**body, "systemInstruction": {"parts": [*told, {"text": text}]}}


def _dropping(*names: str) -> Change:
    """Make the change that leaves these settings out."""

    def change(call: UpstreamCall, notes: Notes) -> UpstreamCall:
        config = config_of(call)
        present = [name for name in names if name in config]
        if not present:
            return call
        for name in present:
            notes.adjust(_CLIENT_NAMES.get(name, name), "dropped", _REASON)
        kept = {name: value for name, value in config.items() if name not in present}
        return with_config(call, kept)

    return change


def _candidates(call: UpstreamCall, _notes: Notes) -> UpstreamCall:
    # Nothing is lost for the client: as many calls are made.
    config = config_of(call)
    count = config.get("candidateCount")
    # Nobody may have the gateway make as many calls as they like.
    if not isinstance(count, int) or count not in range(1, MAX_CANDIDATES + 1):
        return call
    kept = {name: value for name, value in config.items() if name != "candidateCount"}
    return replace(with_config(call, kept), copies=count)


def _task_type(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    texts = call.body.get("requests") or []
    if not any("taskType" in text for text in texts):
        return call
    notes.adjust("google.task_type", "dropped", _REASON)
    kept = [{name: text[name] for name in text if name != "taskType"} for text in texts]
    return replace(call, body={**call.body, "requests": kept})


def _system(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Move the system instruction into the first turn."""
    body = dict(call.body)
    told = body.pop("systemInstruction", None)
    if told is None:
        return call
    first, *rest = body["contents"]
    body["contents"] = [{**first, "parts": [*told["parts"], *first["parts"]]}, *rest]
    notes.adjust("system", "user", _REASON)
    return replace(call, body=body)


def _functions(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    tools = call.body.get("tools") or []
    kept = [tool for tool in tools if "functionDeclarations" not in tool]
    if len(kept) == len(tools):
        return call
    notes.adjust("tools", "dropped", _REASON)
    return replace(call, body=_with_tools(call.body, kept))


def _builtins(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    tools = call.body.get("tools") or []
    names = {name for tool in tools for name in tool} - {"functionDeclarations"}
    return _without_tools(call, names, notes)


def _without_builtin(name: str) -> Change:
    """Make the change that leaves one built-in tool out."""
    return lambda call, notes: _without_tools(call, {name}, notes)


def _without_tools(call: UpstreamCall, names: set[str], notes: Notes) -> UpstreamCall:
    """Give *call* without the built-in tools called *names*; each tool has one name."""
    tools = call.body.get("tools") or []
    kept = [tool for tool in tools if names.isdisjoint(tool)]
    if len(kept) == len(tools):
        return call
    for name in sorted(names.intersection(name for tool in tools for name in tool)):
        notes.drop(f"tools.{name}")
    return replace(call, body=_with_tools(call.body, kept))


def _with_tools(body: Json, tools: list[Json]) -> Json:
    """Give *body* with other *tools*, and a tool configuration that fits them."""
    body = {**body, "tools": tools}
    if not tools:
        del body["tools"]
    config = dict(body.pop("toolConfig", None) or {})
    functions = any("functionDeclarations" in tool for tool in tools)
    if not functions:
        config.pop("functionCallingConfig", None)
    if not functions or len(tools) == 1:
        # What only goes with both kinds of tools.
        config.pop("includeServerSideToolInvocations", None)
        if config.get("functionCallingConfig") == {"mode": "VALIDATED"}:
            config["functionCallingConfig"] = {"mode": "AUTO"}
    if config:
        body["toolConfig"] = config
    return body


def _builtins_with_functions(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    tools = call.body.get("tools") or []
    declared = sum("functionDeclarations" in tool for tool in tools)
    return _builtins(call, notes) if 0 < declared < len(tools) else call


def _json(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Ask for JSON in words, where it cannot be asked for in the settings."""
    config = dict(config_of(call))
    if "responseFormat" in config:
        schema = config.pop("responseFormat")["text"].get("schema")
    elif config.pop("responseMimeType", None) == "application/json":
        schema = config.pop("responseJsonSchema", None)
    else:
        return call
    text = _JSON_ONLY
    if schema is not None:
        text += f" It must match this JSON schema: {orjson.dumps(schema).decode()}"
    notes.adjust("response_format", "emulated", _REASON)
    call = with_config(call, config)
    return replace(call, body=instruct(call.body, text))


def _json_with_tools(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    return _json(call, notes) if call.body.get("tools") else call


def _changing_thinking(change: Callable[[Json], Json], to: str) -> Change:
    def changed(call: UpstreamCall, notes: Notes) -> UpstreamCall:
        config = config_of(call)
        thinking = config.get("thinkingConfig")
        if thinking is None or (new := change(thinking)) == thinking:
            return call
        notes.adjust("thinking", to, _REASON)
        return with_config(call, {**config, "thinkingConfig": new})

    return changed


def _raised(thinking: Json) -> Json:
    low = thinking.get("thinkingLevel") == "MINIMAL"
    return {**thinking, "thinkingLevel": "LOW"} if low else thinking


def _on(thinking: Json) -> Json:
    # The least budget that any model takes which cannot be without.
    off = thinking.get("thinkingBudget") == 0
    return {**thinking, "thinkingBudget": 512} if off else thinking


def _unmeasured(thinking: Json) -> Json:
    return {k: v for k, v in thinking.items() if k == "includeThoughts"}


def _image_size(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    config = config_of(call)
    image = config.get("imageConfig") or {}
    if "imageSize" not in image:
        return call
    notes.adjust("image_config.image_size", "dropped", _REASON)
    kept = {name: value for name, value in image.items() if name != "imageSize"}
    return with_config(call, {**config, "imageConfig": kept})


def _safety_off(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    settings = call.body.get("safetySettings") or []
    if all(one.get("threshold") != "OFF" for one in settings):
        return call
    weakest = [
        {**one, "threshold": "BLOCK_NONE"} if one.get("threshold") == "OFF" else one
        for one in settings
    ]
    notes.adjust("safety_settings", "BLOCK_NONE", _REASON)
    return replace(call, body={**call.body, "safetySettings": weakest})


def _call_ids(call: UpstreamCall, _notes: Notes) -> UpstreamCall:
    return map_parts(call, _without_id)


def _without_id(part: Json) -> Json:
    for kind in ("functionCall", "functionResponse"):
        if "id" in part.get(kind, ()):
            named = {name: value for name, value in part[kind].items() if name != "id"}
            return {**part, kind: named}
    return part


def _part_resolution(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    mended = map_parts(call, _without_resolution)
    if mended is not call:
        notes.adjust("detail", "dropped", _REASON)
    return mended


def _without_resolution(part: Json) -> Json:
    if "mediaResolution" not in part:
        return part
    return {name: value for name, value in part.items() if name != "mediaResolution"}


def _service_tier(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    if "serviceTier" not in call.body:
        return call
    notes.adjust("service_tier", "dropped", _REASON)
    body = {name: value for name, value in call.body.items() if name != "serviceTier"}
    return replace(call, body=body)


def map_parts(call: UpstreamCall, change: Callable[[Json], Json]) -> UpstreamCall:
    """Give *call* with *change* made to each part of each turn; *call* itself if none changed."""
    contents = []
    changed = False
    for content in call.body["contents"]:
        parts: list[Any] = [change(part) for part in content["parts"]]
        differs = any(new is not old for new, old in zip(parts, content["parts"], strict=True))
        contents.append({**content, "parts": parts} if differs else content)
        changed = changed or differs
    return replace(call, body={**call.body, "contents": contents}) if changed else call


CHANGES: dict[str, Change] = {
    "sampling": _dropping("temperature", "topP", "topK"),
    "penalties": _dropping("presencePenalty", "frequencyPenalty"),
    "logprobs": _dropping("responseLogprobs", "logprobs"),
    "seed": _dropping("seed"),
    "media_resolution": _dropping("mediaResolution"),
    "thinking": _dropping("thinkingConfig"),
    "thinking_minimal": _changing_thinking(_raised, "LOW"),
    "thinking_off": _changing_thinking(_on, "512"),
    "thinking_amount": _changing_thinking(_unmeasured, "automatic"),
    "candidates": _candidates,
    "task_type": _task_type,
    "system": _system,
    "functions": _functions,
    "builtins": _builtins,
    "search": _without_builtin("googleSearch"),
    "code": _without_builtin("codeExecution"),
    "urls": _without_builtin("urlContext"),
    "maps": _without_builtin("googleMaps"),
    "files": _without_builtin("fileSearch"),
    "computer": _without_builtin("computerUse"),
    "builtins_with_functions": _builtins_with_functions,
    "json": _json,
    "json_with_tools": _json_with_tools,
    "image_size": _image_size,
    "safety_off": _safety_off,
    "call_ids": _call_ids,
    "part_resolution": _part_resolution,
    "service_tier": _service_tier,
}


def _at_most(name: str) -> Limit:
    """Make the change that lowers one setting to the most that the model takes."""

    def change(call: UpstreamCall, notes: Notes, _least: int, most: int) -> UpstreamCall:
        config = config_of(call)
        if config.get(name, 0) <= most:
            return call
        notes.adjust(_CLIENT_NAMES[name], str(most), _REASON)
        return with_config(call, {**config, name: most})

    return change


def _budget_to(takes: Callable[[int], bool], put: Callable[[int, int, int], int]) -> Limit:
    """Make the change of a thinking budget that *takes* says yes to.

    *put* gives the new one from the old one, the least and the most.
    """

    def change(call: UpstreamCall, notes: Notes, least: int, most: int) -> UpstreamCall:
        config = config_of(call)
        thinking = config.get("thinkingConfig") or {}
        budget = thinking.get("thinkingBudget")
        if budget is None or not takes(budget) or (new := put(budget, least, most)) == budget:
            return call
        notes.adjust("thinking", str(new), _REASON)
        return with_config(call, {**config, "thinkingConfig": {**thinking, "thinkingBudget": new}})

    return change


LIMITS: dict[str, Limit] = {
    "max_tokens": _at_most("maxOutputTokens"),
    "top_k": _at_most("topK"),
    "top_logprobs": _at_most("logprobs"),
    # Three refusals: a model may take 0 (no thinking) or -1 (its own choice) beside its range.
    "thinking_budget": _budget_to(lambda n: n > 0, lambda n, least, most: min(max(n, least), most)),
    "no_thinking": _budget_to(lambda n: n == 0, lambda _n, least, _most: least),
    # The model need not use up the most.
    "automatic_thinking": _budget_to(lambda n: n < 0, lambda _n, _least, most: most),
}
_LIMIT = re.compile(rf"(?P<name>{'|'.join(LIMITS)})=(?P<least>\d{{1,9}})\.\.(?P<most>\d{{1,9}})")
