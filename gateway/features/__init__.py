"""The changes that remove from a body what the model refuses: one for each feature.

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
from gateway.features import generation, tools
from gateway.features.change import REASON, Change, Limit

# Documented by Google for histories of other models (ai.google.dev: thought-signatures).
BYPASS = "skip_thought_signature_validator"

# The most answers that one request may ask for (Gemini's own limit).
MAX_CANDIDATES = 8

# The type of the text in `responseFormat`.
_JSON_FORM = "APPLICATION_JSON"
_JSON_ONLY = (
    "Whenever you answer instead of calling a tool, the whole answer must be one JSON value, "
    "without any text or code fence around it."
)


def without(call: UpstreamCall, features: Iterable[str], notes: Notes) -> UpstreamCall:
    """Return *call* without *features*, names of `CHANGES`; unknown ones are ignored.

    A feature of `LIMITS` is followed by the values that the model accepts: `max_tokens=0..8192`.
    """
    for feature in features:
        change = CHANGES.get(feature)
        if change is not None:
            call = change(call, notes)
        elif (match := _LIMIT.fullmatch(feature)) is not None:
            call = LIMITS[match["name"]](call, notes, int(match["least"]), int(match["most"]))
    return call


def limit(name: str, least: int, most: int) -> str:
    """Return the name of the feature: values of *name*, one of `LIMITS`, outside the range."""
    return f"{name}={least}..{most}"


def instruct(body: Json, text: str) -> Json:
    """Return *body* with *text* at the end of the system instruction.

    Cached content has an instruction of its own, and no other may be sent: then *text* is put at
    the beginning of the first turn.
    """
    if "cachedContent" in body:
        first, *rest = body["contents"]
        return {**body, "contents": [{**first, "parts": [{"text": text}, *first["parts"]]}, *rest]}
    parts = (body.get("systemInstruction") or {}).get("parts") or []
    return {**body, "systemInstruction": {"parts": [*parts, {"text": text}]}}


def _candidates(call: UpstreamCall, _notes: Notes) -> UpstreamCall:
    # Nothing is lost for the client: as many calls are made.
    config = config_of(call)
    count = config.get("candidateCount")
    # No client may make the gateway send any number of calls.
    if not isinstance(count, int) or count not in range(1, MAX_CANDIDATES + 1):
        return call
    kept = {name: value for name, value in config.items() if name != "candidateCount"}
    return replace(with_config(call, kept), copies=count)


def _task_type(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    texts = call.body.get("requests") or []
    if not any("taskType" in text for text in texts):
        return call
    notes.adjust("google.task_type", "dropped", REASON)
    kept = [{name: text[name] for name in text if name != "taskType"} for text in texts]
    return replace(call, body={**call.body, "requests": kept})


def _system(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Move the system instruction into the first turn."""
    body = dict(call.body)
    instruction = body.pop("systemInstruction", None)
    if instruction is None:
        return call
    first, *rest = body["contents"]
    body["contents"] = [{**first, "parts": [*instruction["parts"], *first["parts"]]}, *rest]
    notes.adjust("system", "user", REASON)
    return replace(call, body=body)


def _json(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Ask for JSON in words, where the settings cannot ask for it."""
    config = dict(config_of(call))
    forms = dict(config.get("responseFormat") or {})
    form = forms.pop("text", None)
    if form is not None and form.get("mimeType", _JSON_FORM).upper() == _JSON_FORM:
        schema = form.get("schema")
        config["responseFormat"] = forms
        if not forms:
            del config["responseFormat"]
    elif config.pop("responseMimeType", None) == "application/json":
        schema = config.pop("responseJsonSchema", None)
    else:
        return call
    text = _JSON_ONLY
    if schema is not None:
        text += f" It must match this JSON schema: {orjson.dumps(schema).decode()}"
    notes.adjust("response_format", "emulated", REASON)
    call = with_config(call, config)
    return replace(call, body=instruct(call.body, text))


def _json_with_tools(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    return _json(call, notes) if call.body.get("tools") else call


def _safety_off(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    settings = call.body.get("safetySettings") or []
    if all(setting.get("threshold") != "OFF" for setting in settings):
        return call
    weakest = [
        {**setting, "threshold": "BLOCK_NONE"} if setting.get("threshold") == "OFF" else setting
        for setting in settings
    ]
    notes.adjust("safety_settings", "BLOCK_NONE", REASON)
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
        notes.adjust("detail", "dropped", REASON)
    return mended


def _without_resolution(part: Json) -> Json:
    if "mediaResolution" not in part:
        return part
    return {name: value for name, value in part.items() if name != "mediaResolution"}


def _service_tier(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    if "serviceTier" not in call.body:
        return call
    notes.adjust("service_tier", "dropped", REASON)
    body = {name: value for name, value in call.body.items() if name != "serviceTier"}
    return replace(call, body=body)


def map_parts(call: UpstreamCall, change: Callable[[Json], Json]) -> UpstreamCall:
    """Return *call* with *change* applied to all parts of all turns, or *call* if none changed."""
    contents = []
    changed = False
    for content in call.body["contents"]:
        parts: list[Any] = [change(part) for part in content["parts"]]
        differs = any(new is not old for new, old in zip(parts, content["parts"], strict=True))
        contents.append({**content, "parts": parts} if differs else content)
        changed = changed or differs
    return replace(call, body={**call.body, "contents": contents}) if changed else call


CHANGES: dict[str, Change] = {
    "sampling": generation.without_settings("temperature", "topP", "topK"),
    "penalties": generation.without_settings("presencePenalty", "frequencyPenalty"),
    "logprobs": generation.without_settings("responseLogprobs", "logprobs"),
    "seed": generation.without_settings("seed"),
    "media_resolution": generation.without_settings("mediaResolution"),
    "thinking": generation.without_settings("thinkingConfig"),
    "thinking_minimal": generation.without_minimal_thinking,
    "thinking_off": generation.without_thinking_off,
    "thinking_amount": generation.without_thinking_amount,
    "candidates": _candidates,
    "task_type": _task_type,
    "system": _system,
    "functions": tools.without_functions,
    "builtins": tools.without_builtins,
    "search": tools.without_builtin("googleSearch"),
    "code": tools.without_builtin("codeExecution"),
    "urls": tools.without_builtin("urlContext"),
    "maps": tools.without_builtin("googleMaps"),
    "files": tools.without_builtin("fileSearch"),
    "computer": tools.without_builtin("computerUse"),
    "builtins_with_functions": tools.without_builtins_beside_functions,
    "json": _json,
    "json_with_tools": _json_with_tools,
    "image_size": generation.without_image_size,
    "safety_off": _safety_off,
    "call_ids": _call_ids,
    "part_resolution": _part_resolution,
    "service_tier": _service_tier,
}

LIMITS: dict[str, Limit] = {
    "max_tokens": generation.at_most("maxOutputTokens"),
    "top_k": generation.at_most("topK"),
    "top_logprobs": generation.at_most("logprobs"),
    # Three refusals: a model may accept 0 (no thinking) or -1 (its own choice) besides its range.
    "thinking_budget": generation.budget_to(
        lambda n: n > 0, lambda n, least, most: min(max(n, least), most)
    ),
    "no_thinking": generation.budget_to(lambda n: n == 0, lambda _n, least, _most: least),
    # The model need not use up the maximum.
    "automatic_thinking": generation.budget_to(lambda n: n < 0, lambda _n, _least, most: most),
}
_LIMIT = re.compile(rf"(?P<name>{'|'.join(LIMITS)})=(?P<least>\d{{1,9}})\.\.(?P<most>\d{{1,9}})")
