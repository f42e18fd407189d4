"""Everything that shapes the answer: sampling, limits, format, safety, tier.

The client's native fields (`google.*`) override what its OpenAI fields give.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.request import outputs, overlay, thinking
from gateway.dialects.openai_chat.translation import Translation
from gateway.dialects.shapes import MAX_INT32
from gateway.errors import BadRequest
from gateway.exchange import Json
from gateway.features import MAX_CANDIDATES
from gateway.safety import category_of

_MAX_STOPS = 5
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
# From coarse to fine; None is the model's own choice.
_RESOLUTIONS = ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", None, "MEDIA_RESOLUTION_HIGH")
_FINEST = len(_RESOLUTIONS) - 1


def generation_config(translation: Translation) -> Json:
    """Return Gemini's `generationConfig`. Raises `BadRequest` naming what cannot be carried out."""
    payload = translation.payload
    config: Json = {}
    for name, value in payload.items():
        set_option = _OPTIONS.get(name)
        if set_option is not None and value is not None:
            set_option(translation, config, value)
    if "max_completion_tokens" in payload and "max_tokens" in payload:
        _limit(translation, config)
    thoughts = thinking.translate(translation)
    if thoughts:
        config["thinkingConfig"] = thoughts
    outputs.put_into(config, translation)
    if translation.google:
        overlay.lay_over(translation, config)
    if translation.details:
        _resolve_details(translation, config)
    return config


def _resolve_details(translation: Translation, config: Json) -> None:
    """Set the one resolution that these models have for all media: the finest that is requested."""
    if "mediaResolution" not in config:
        ranks = [
            _RESOLUTIONS.index(level) if level in _RESOLUTIONS else _FINEST
            for _, level in translation.details
        ]
        finest = _RESOLUTIONS[max(ranks)]
        if finest is not None:
            config["mediaResolution"] = finest
    sent = config.get("mediaResolution")
    word = (sent or "auto").removeprefix("MEDIA_RESOLUTION_").lower()
    for path, level in translation.details:
        if level not in (sent, None):
            translation.notes.adjust(path, word, "model")


def safety_settings(translation: Translation) -> list[Json]:
    """Return the threshold of each category; all are off unless something else is requested."""
    requested = translation.google.get("safetySettings")
    configured = translation.known.safety
    if requested is None and not configured:
        return list(_DEFAULT_SAFETY)
    thresholds = {setting["category"]: setting["threshold"] for setting in _DEFAULT_SAFETY}
    for category, threshold in (configured or {}).items():
        thresholds[category_of(category)] = threshold
    if requested is not None:
        thresholds |= _requested_thresholds(translation, requested)
    return [{"category": name, "threshold": level} for name, level in thresholds.items()]


def _requested_thresholds(translation: Translation, requested: Any) -> dict[str, str]:
    """Return the threshold of each category that the client's settings name; the first counts."""
    path = "google.safety_settings"
    thresholds: dict[str, str] = {}
    for at, setting in enumerate(
        native.fit(_full_names(requested), native.SAFETY_SETTINGS, path, translation.notes)
    ):
        category, threshold = setting.get("category"), setting.get("threshold")
        if not (category and threshold and thresholds.setdefault(category, threshold) == threshold):
            translation.notes.drop(f"{path}[{at}]")
    return thresholds


def service_tier(translation: Translation) -> str | None:
    """Return Gemini's name of the requested service tier."""
    tier, other = translation.google.get("serviceTier"), translation.payload.get("service_tier")
    if tier and other not in (None, tier):
        translation.notes.drop("service_tier")
    tier = tier or other
    if tier is None:
        return None
    if tier == "scale":
        translation.notes.adjust("service_tier", "standard", "no_counterpart")
    if not isinstance(tier, str) or tier.lower() not in _TIERS:
        raise BadRequest(
            f"Expected one of {', '.join(_TIERS)}.",
            param="google.service_tier",
            code="invalid_value",
        )
    return _TIERS[tier.lower()]


def _full_names(settings: Any) -> Any:
    if not isinstance(settings, list):
        return settings
    return [
        {**setting, "category": category_of(setting["category"])}
        if isinstance(setting, dict) and isinstance(setting.get("category"), str)
        else setting
        for setting in settings
    ]


def _number(field: str, to: str) -> Callable[..., None]:
    """Return the option of a number that Gemini accepts within a range."""

    def put(_translation: Translation, config: Json, value: float) -> None:
        overlay.check_range(to, value, field)
        config[to] = value

    return put


def _whole(field: str, to: str) -> Callable[..., None]:
    def put(_translation: Translation, config: Json, value: float) -> None:
        overlay.check_range(to, value, field)
        config[to] = int(value)

    return put


def _limit(translation: Translation, config: Json) -> None:
    """Decide which of the two limits of tokens counts."""
    payload = translation.payload
    newer, older = payload.get("max_completion_tokens"), payload.get("max_tokens")
    if newer is None or older is None:
        return
    config["maxOutputTokens"] = int(newer)
    if older != newer:
        translation.notes.drop("max_tokens")


def _n(_translation: Translation, config: Json, value: float) -> None:
    if not 1 <= value <= MAX_CANDIDATES:
        raise BadRequest(
            f"Between 1 and {MAX_CANDIDATES} answers can be requested.",
            param="n",
            code="invalid_value",
        )
    if value > 1:
        config["candidateCount"] = int(value)


def _stop(translation: Translation, config: Json, value: Any) -> None:
    stops = [text for text in ([value] if isinstance(value, str) else value) if text]
    if len(stops) > _MAX_STOPS:
        translation.notes.adjust("stop", f"first_{_MAX_STOPS}", "limit")
    if stops:
        config["stopSequences"] = stops[:_MAX_STOPS]


def _seed(translation: Translation, config: Json, value: float) -> None:
    seed = int(value)
    if abs(seed) > MAX_INT32:
        seed %= MAX_INT32
        translation.notes.adjust("seed", str(seed), "limit")
    config["seed"] = seed


def _logprobs(_translation: Translation, config: Json, value: bool) -> None:  # noqa: FBT001 - JSON
    if value:
        config["responseLogprobs"] = True


def _top_logprobs(translation: Translation, config: Json, value: float) -> None:
    overlay.check_range("logprobs", value, "top_logprobs")
    if translation.payload.get("logprobs"):
        config["logprobs"] = int(value)
    elif value:
        raise BadRequest("top_logprobs needs logprobs: true.", param="top_logprobs")


def _response_format(translation: Translation, config: Json, value: Json) -> None:
    if value["type"] == "text":
        return
    config["responseMimeType"] = "application/json"
    form = value.get("json_schema") or {}
    schema, description = form.get("schema"), form.get("description")
    if value["type"] == "json_schema" and schema:
        if description:
            # Gemini reads only the schema.
            inner = schema.get("description")
            schema = {**schema, "description": f"{description}\n{inner}" if inner else description}
        overlay.put_schema(translation, config, schema, "response_format.json_schema.schema")
    elif description:
        translation.notes.drop("response_format.json_schema.description")


_OPTIONS: Mapping[str, Callable[..., None]] = {
    "temperature": _number("temperature", "temperature"),
    "top_p": _number("top_p", "topP"),
    "top_k": _whole("top_k", "topK"),
    "presence_penalty": _number("presence_penalty", "presencePenalty"),
    "frequency_penalty": _number("frequency_penalty", "frequencyPenalty"),
    "max_tokens": _whole("max_tokens", "maxOutputTokens"),
    "max_completion_tokens": _whole("max_completion_tokens", "maxOutputTokens"),
    "n": _n,
    "stop": _stop,
    "seed": _seed,
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
    "response_format": _response_format,
}
