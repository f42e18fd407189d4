"""generationConfig, safety and cache: the ranges, and what each model refuses."""

from collections.abc import Callable

from gateway.simulator.models import SAMPLING, Model
from gateway.simulator.refusal import Json, Refusal, bad_request
from gateway.simulator.strict import output, thinking
from gateway.simulator.strict.shape import snake

# Field: least and greatest value, both allowed.
_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "topK": (0, 2**31),
    "candidateCount": (1, 8),
    "maxOutputTokens": (1, 2**31),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "logprobs": (0, 20),
}
_PENALTIES = ("presencePenalty", "frequencyPenalty")


def check(request: Json, model: Model) -> None:
    """Refuse options that are out of range or that *model* does not accept."""
    config = request.get("generationConfig") or {}
    for check_option in _CHECKS:
        check_option(config, model)
    thinking.check(config.get("thinkingConfig"), model)
    output.check(request, model)
    _check_safety(request.get("safetySettings", ()))
    _check_cache(request)


def _check_ranges(config: Json, _model: Model) -> None:
    for name, (least, greatest) in _RANGES.items():
        if name in config and not least <= config[name] <= greatest:
            field = f"generation_config.{snake(name)}"
            text = f"{snake(name)} must be in the range [{least}, {greatest}]."
            raise bad_request((field, f"* GenerateContentRequest.{field}: {text}\n"))


def _check_sampling(config: Json, model: Model) -> None:
    if "sampling" not in model.refuses:
        return
    for name, default in SAMPLING.items():
        # Google's command line sends the defaults to every model.
        if config.get(name, default) != default:
            raise Refusal(f"Sampling parameter {snake(name)} is not enabled for this model")


def _check_penalties(config: Json, model: Model) -> None:
    if "penalties" in model.refuses and any(config.get(name) for name in _PENALTIES):
        raise Refusal(f"Penalty is not enabled for models/{model.name}")


def _check_candidates(config: Json, model: Model) -> None:
    if "candidates" in model.refuses and config.get("candidateCount", 1) > 1:
        raise Refusal("Multiple candidates is not enabled for this model")


def _check_stops(config: Json, _model: Model) -> None:
    stops = config.get("stopSequences", ())
    if len(stops) > 5:
        raise Refusal("The number of stop_sequences must not be greater than 5.")
    if "" in stops:
        raise Refusal("stop_sequences must not contain an empty string.")


def _check_logprobs(config: Json, _model: Model) -> None:
    if config.get("logprobs") and not config.get("responseLogprobs"):
        raise Refusal("logprobs can only be set when response_logprobs is set to true.")


def _check_safety(settings: list[Json]) -> None:
    categories = [setting.get("category") for setting in settings]
    if len(set(categories)) < len(categories):
        raise Refusal("safety_settings: element predicate failed: duplicate category")


def _check_cache(request: Json) -> None:
    if request.get("cachedContent") and any(
        request.get(name) for name in ("systemInstruction", "tools", "toolConfig")
    ):
        raise Refusal(
            "CachedContent can not be used with GenerateContent request setting"
            " system_instruction, tools or tool_config."
        )


_CHECKS: tuple[Callable[[Json, Model], None], ...] = (
    _check_ranges,
    _check_sampling,
    _check_penalties,
    _check_candidates,
    _check_stops,
    _check_logprobs,
)
