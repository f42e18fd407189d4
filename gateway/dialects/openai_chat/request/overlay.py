"""The client's native settings, which override its OpenAI fields, and the ranges of both."""

from collections.abc import Mapping
from typing import Any

from gateway.calls import snake
from gateway.dialects.openai_chat import native, schema
from gateway.dialects.openai_chat.translation import Translation
from gateway.dialects.shapes import MAX_DEPTH, MAX_INT32
from gateway.errors import BadRequest
from gateway.exchange import Json
from gateway.features import MAX_CANDIDATES

# The ranges that Gemini accepts, whoever sets the value.
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "topK": (1, 1_000_000),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "maxOutputTokens": (1, MAX_INT32),
    "logprobs": (0, 20),
    "candidateCount": (1, MAX_CANDIDATES),
}
# The client's fields for Gemini's settings.
OVERRULED: Mapping[str, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "topP": ("top_p",),
    "topK": ("top_k",),
    "presencePenalty": ("presence_penalty",),
    "frequencyPenalty": ("frequency_penalty",),
    "maxOutputTokens": ("max_completion_tokens", "max_tokens"),
    "candidateCount": ("n",),
    "stopSequences": ("stop",),
    "seed": ("seed",),
    "responseLogprobs": ("logprobs",),
    "logprobs": ("top_logprobs",),
    "responseMimeType": ("response_format",),
    "responseJsonSchema": ("response_format",),
    "responseSchema": ("response_format",),
    "responseFormat": ("response_format",),
}
# The first of these counts.
_SCHEMAS = ("responseJsonSchema", "responseSchema")
# Both become the same.
_SAME = {"responseSchema": "responseJsonSchema"}
# Native fields that other modules read.
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
        "store",
        "imageOutput",
        "imageConfig",
        "speechConfig",
        "responseModalities",
    }
)


def lay_over(translation: Translation, config: Json) -> None:
    """Apply the client's native settings to *config*."""
    asked_for = dict(config)
    for name, value in translation.google.items():
        if name in _HANDLED:
            continue
        shape = native.GENERATION_CONFIG.get(name)
        if shape is None:
            translation.notes.drop(f"google.{name}")
            continue
        path = f"google.{snake(name)}"
        fitted = native.fit(value, shape, path, translation.notes)
        if name in _RANGES:
            check_range(name, fitted, path)
        if asked_for.get(_SAME.get(name, name), fitted) != fitted:
            _note_overruled(translation, name)
        config[name] = fitted
    config.pop("responseSchema", None)
    if "text" in config.get("responseFormat", ()):
        _supersede(translation, config)
    else:
        _settle_schemas(translation, config)


def _note_overruled(translation: Translation, name: str) -> None:
    """Note the client's other field for Gemini's setting *name*, which is overridden."""
    for field in OVERRULED.get(name, ()):
        if translation.payload.get(field) is not None:
            translation.notes.drop(field)


def _supersede(translation: Translation, config: Json) -> None:
    """Leave out what `responseFormat` supersedes (python-genai 3.4)."""
    if config.pop("responseMimeType", None) is not None:
        _note_overruled(translation, "responseFormat")
    config.pop("responseJsonSchema", None)
    for name in ("responseMimeType", *_SCHEMAS):
        if translation.google.get(name) is not None:
            translation.notes.drop(f"google.{snake(name)}")


def _settle_schemas(translation: Translation, config: Json) -> None:
    """Send one schema, as JSON schema: Gemini refuses two."""
    given = [name for name in _SCHEMAS if translation.google.get(name) is not None]
    if not given:
        return
    if len(given) > 1:
        translation.notes.drop("google.response_schema")
    path, client_schema = f"google.{snake(given[0])}", translation.google[given[0]]
    if not isinstance(client_schema, dict):
        raise BadRequest("Expected an object.", param=path, code="invalid_type")
    config.setdefault("responseMimeType", "application/json")
    if given[0] == "responseSchema":
        client_schema = _lowered(client_schema, 0)
    put_schema(translation, config, client_schema, path)


def _lowered(openapi: Any, depth: int) -> Any:
    """Return an OpenAPI schema as JSON schema: its types are in capitals."""
    if depth > MAX_DEPTH or not isinstance(openapi, dict):
        return openapi
    lowered: Json = {}
    for name, value in openapi.items():
        if name == "type" and isinstance(value, str):
            lowered[name] = value.lower()
        elif name == "properties" and isinstance(value, dict):
            lowered[name] = {key: _lowered(nested, depth + 1) for key, nested in value.items()}
        elif name in ("anyOf", "any_of") and isinstance(value, list):
            lowered["anyOf"] = [_lowered(nested, depth + 1) for nested in value]
        else:
            lowered[native.camel(name)] = _lowered(value, depth + 1) if name == "items" else value
    return lowered


def check_range(name: str, value: float, field: str) -> None:
    """Refuse a *value* that Gemini would not accept for its setting *name*."""
    least, most = _RANGES[name]
    if not least <= value <= most:
        raise BadRequest(
            f"Expected a number from {least} to {most}.", param=field, code="invalid_value"
        )


def put_schema(translation: Translation, config: Json, client_schema: Json, path: str) -> None:
    """Make the answer follow *client_schema*, which is at *path* of the payload."""
    config["responseJsonSchema"], lost = schema.normalise(client_schema, path, translation.steps)
    if lost:
        translation.notes.adjust(path, "without_" + "+".join(lost), "schema")
