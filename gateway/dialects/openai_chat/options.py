"""Everything that shapes the answer: sampling, limits, form, safety, tier.

The client's native fields (`google.*`) are laid over what its OpenAI fields give.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.dialects.openai_chat import native, outputs, schema, thinking
from gateway.dialects.openai_chat.shapes import MAX_DEPTH
from gateway.dialects.openai_chat.translating import Translating
from gateway.errors import BadRequest
from gateway.exchange import Json
from gateway.features import MAX_CANDIDATES

_MAX_STOPS = 5
_MAX_INT32 = 2_147_483_647
_DEFAULT_SAFETY = tuple(
    {"category": f"HARM_CATEGORY_{name}", "threshold": "OFF"}
    for name in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
)
_TIERS = {
    "auto": "standard",
    "default": "standard",
    "standard": "standard",
    "scale": "standard",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
}
_RESOLUTIONS = ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH")


def generation_config(translating: Translating) -> Json:
    """Give Gemini's `generationConfig`. Raises `BadRequest` naming what cannot be carried out."""
    payload = translating.payload
    config: Json = {}
    for name, value in payload.items():
        put = _OPTIONS.get(name)
        if put is not None and value is not None:
            put(translating, config, value)
    if "max_completion_tokens" in payload and "max_tokens" in payload:
        _limit(translating, config)
    thoughts = thinking.translate(translating)
    if thoughts:
        config["thinkingConfig"] = thoughts
    outputs.put_into(config, translating)
    if translating.details and "mediaResolution" not in config:
        # These models know one resolution for all media: the finest that was asked for.
        known = [level for level in _RESOLUTIONS if level in translating.details]
        config["mediaResolution"] = known[-1] if known else _RESOLUTIONS[-1]
    if translating.google:
        _put_native(translating, config)
    return config


def safety_settings(translating: Translating) -> list[Json]:
    """Give the threshold of each category, all off unless something else is asked for."""
    told = translating.google.get("safetySettings")
    configured = translating.known.safety
    if not told and not configured:
        return list(_DEFAULT_SAFETY)
    thresholds = {one["category"]: one["threshold"] for one in _DEFAULT_SAFETY}
    for category, threshold in (configured or {}).items():
        thresholds[_category(category)] = threshold
    if told:
        for one in native.fit(
            _full_names(told), native.SAFETY_SETTINGS, "google.safety_settings", translating.notes
        ):
            if len(one) == 2:
                thresholds[one["category"]] = one["threshold"]
            else:
                translating.notes.drop("google.safety_settings")
    return [{"category": name, "threshold": level} for name, level in thresholds.items()]


def service_tier(translating: Translating) -> str | None:
    """Give Gemini's name of the tier that is asked for."""
    tier, other = translating.payload.get("service_tier"), translating.google.get("serviceTier")
    if tier and other not in (None, tier):
        translating.notes.drop("google.service_tier")
    tier = tier or other
    if tier is None:
        return None
    if tier == "scale":
        translating.notes.adjust("service_tier", "standard", "no_counterpart")
    if not isinstance(tier, str) or tier.lower() not in _TIERS:
        raise BadRequest(
            f"Expected one of {', '.join(_TIERS)}.", param="service_tier", code="invalid_value"
        )
    return _TIERS[tier.lower()]


def _full_names(told: Any) -> Any:
    if not isinstance(told, list):
        return told
    return [
        {**one, "category": _category(one["category"])}
        if isinstance(one, dict) and isinstance(one.get("category"), str)
        else one
        for one in told
    ]


def _category(name: str) -> str:
    name = name.upper()
    return name if name.startswith("HARM_CATEGORY_") else f"HARM_CATEGORY_{name}"


def _within(field: str, to: str, least: float, most: float) -> Callable[..., None]:
    """Make the option of a number that Gemini takes within a range."""

    def put(_translating: Translating, config: Json, value: float) -> None:
        if not least <= value <= most:
            raise BadRequest(
                f"Expected a number from {least} to {most}.", param=field, code="invalid_value"
            )
        config[to] = value

    return put


def _whole(field: str, to: str, least: int, most: int) -> Callable[..., None]:
    put_number = _within(field, to, least, most)

    def put(translating: Translating, config: Json, value: float) -> None:
        put_number(translating, config, int(value))

    return put


def _limit(translating: Translating, config: Json) -> None:
    """Settle which of the two limits of tokens counts."""
    payload = translating.payload
    newer, older = payload.get("max_completion_tokens"), payload.get("max_tokens")
    if newer is None or older is None:
        return
    config["maxOutputTokens"] = int(newer)
    if older != newer:
        translating.notes.drop("max_tokens")


def _n(_translating: Translating, config: Json, value: float) -> None:
    if not 1 <= value <= MAX_CANDIDATES:
        raise BadRequest(
            f"Between 1 and {MAX_CANDIDATES} answers can be asked for.",
            param="n",
            code="invalid_value",
        )
    if value > 1:
        config["candidateCount"] = int(value)


def _stop(translating: Translating, config: Json, value: Any) -> None:
    stops = [text for text in ([value] if isinstance(value, str) else value) if text]
    if len(stops) > _MAX_STOPS:
        translating.notes.adjust("stop", f"first_{_MAX_STOPS}", "limit")
    if stops:
        config["stopSequences"] = stops[:_MAX_STOPS]


def _seed(translating: Translating, config: Json, value: float) -> None:
    seed = int(value)
    if abs(seed) > _MAX_INT32:
        seed %= _MAX_INT32
        translating.notes.adjust("seed", str(seed), "limit")
    config["seed"] = seed


def _logprobs(_translating: Translating, config: Json, value: bool) -> None:  # noqa: FBT001 - JSON
    if value:
        config["responseLogprobs"] = True


def _top_logprobs(translating: Translating, config: Json, value: float) -> None:
    if not 0 <= value <= 20:
        raise BadRequest("Expected 0 to 20.", param="top_logprobs", code="invalid_value")
    if translating.payload.get("logprobs"):
        config["logprobs"] = int(value)
    elif value:
        raise BadRequest("top_logprobs needs logprobs: true.", param="top_logprobs")


def _response_format(translating: Translating, config: Json, value: Json) -> None:
    if value["type"] == "text":
        return
    config["responseMimeType"] = "application/json"
    told = (value.get("json_schema") or {}).get("schema")
    if value["type"] == "json_schema" and told:
        path = "response_format.json_schema.schema"
        _put_schema(translating, config, told, path)


def _put_schema(translating: Translating, config: Json, told: Json, path: str) -> None:
    config["responseJsonSchema"], lost = schema.normalise(told, path, translating.steps)
    if lost:
        translating.notes.adjust(path, "without_" + "+".join(lost), "schema")


def _put_native(translating: Translating, config: Json) -> None:
    """Lay the client's native settings over *config*."""
    for name, value in translating.google.items():
        if value is None or name in _HANDLED:
            continue
        path, shape = f"google.{name}", native.GENERATION_CONFIG.get(name)
        if shape is None:
            translating.notes.drop(path)
        else:
            config[name] = native.fit(value, shape, path, translating.notes)
    if not 1 <= config.get("candidateCount", 1) <= MAX_CANDIDATES:
        raise BadRequest(
            f"Between 1 and {MAX_CANDIDATES} answers can be asked for.",
            param="google.candidate_count",
            code="invalid_value",
        )
    _settle_schemas(translating, config)


def _settle_schemas(translating: Translating, config: Json) -> None:
    """Send one schema, as JSON schema: Gemini refuses two."""
    for name, path in (
        ("responseSchema", "google.response_schema"),
        ("responseJsonSchema", "google.response_json_schema"),
    ):
        if isinstance(config.get(name), dict) and "responseMimeType" not in config:
            config["responseMimeType"] = "application/json"
        if name in config:
            told = config.pop(name)
            if not isinstance(told, dict):
                raise BadRequest("Expected an object.", param=path, code="invalid_type")
            told = _lowered(told, 0) if name == "responseSchema" else told
            _put_schema(translating, config, told, path)


def _lowered(openapi: Any, depth: int) -> Any:
    """Give an OpenAPI schema as JSON schema: its types are in capitals."""
    if depth > MAX_DEPTH or not isinstance(openapi, dict):
        return openapi
    lowered: Json = {}
    for name, value in openapi.items():
        if name == "type" and isinstance(value, str):
            lowered[name] = value.lower()
        elif name == "properties" and isinstance(value, dict):
            lowered[name] = {key: _lowered(one, depth + 1) for key, one in value.items()}
        elif name in ("anyOf", "any_of") and isinstance(value, list):
            lowered["anyOf"] = [_lowered(one, depth + 1) for one in value]
        else:
            lowered[native.camel(name)] = _lowered(value, depth + 1) if name == "items" else value
    return lowered


_OPTIONS: Mapping[str, Callable[..., None]] = {
    "temperature": _within("temperature", "temperature", 0, 2),
    "top_p": _within("top_p", "topP", 0, 1),
    "top_k": _whole("top_k", "topK", 1, 1_000_000),
    "presence_penalty": _within("presence_penalty", "presencePenalty", -2, 2),
    "frequency_penalty": _within("frequency_penalty", "frequencyPenalty", -2, 2),
    "max_tokens": _whole("max_tokens", "maxOutputTokens", 1, _MAX_INT32),
    "max_completion_tokens": _whole("max_completion_tokens", "maxOutputTokens", 1, _MAX_INT32),
    "n": _n,
    "stop": _stop,
    "seed": _seed,
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
    "response_format": _response_format,
}
# Native fields that are read where they belong.
_HANDLED = frozenset(
    {
        "thinkingConfig",
        "safetySettings",
        "cachedContent",
        "continuationToken",
        "retrievalConfig",
        "functionCallingConfig",
        "includeServerSideToolInvocations",
        "tools",
        "serviceTier",
        "imageOutput",
        "imageConfig",
        "speechConfig",
        "responseModalities",
    }
)
