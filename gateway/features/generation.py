"""Generation settings that the model refuses: removed, or changed to what it accepts."""

from collections.abc import Callable

from gateway.calls import config_of, with_config
from gateway.exchange import Json, Notes, UpstreamCall
from gateway.features.change import REASON, Change, Limit

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


def without_settings(*names: str) -> Change:
    """Return the change that removes these settings."""

    def change(call: UpstreamCall, notes: Notes) -> UpstreamCall:
        config = config_of(call)
        present = [name for name in names if name in config]
        if not present:
            return call
        for name in present:
            notes.adjust(_CLIENT_NAMES.get(name, name), "dropped", REASON)
        kept = {name: value for name, value in config.items() if name not in present}
        return with_config(call, kept)

    return change


def without_image_size(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Remove the size of images, and keep their other settings."""
    config = config_of(call)
    image = config.get("imageConfig") or {}
    if "imageSize" not in image:
        return call
    notes.adjust("image_config.image_size", "dropped", REASON)
    kept = {name: value for name, value in image.items() if name != "imageSize"}
    return with_config(call, {**config, "imageConfig": kept})


def at_most(name: str) -> Limit:
    """Return the change that lowers one setting to the most that the model accepts."""

    def change(call: UpstreamCall, notes: Notes, _least: int, most: int) -> UpstreamCall:
        config = config_of(call)
        if config.get(name, 0) <= most:
            return call
        notes.adjust(_CLIENT_NAMES[name], str(most), REASON)
        return with_config(call, {**config, name: most})

    return change


def budget_to(applies: Callable[[int], bool], replace: Callable[[int, int, int], int]) -> Limit:
    """Return the change of a thinking budget for which *applies* is true.

    *replace* returns the new one from the old one, the least and the most.
    """

    def change(call: UpstreamCall, notes: Notes, least: int, most: int) -> UpstreamCall:
        config = config_of(call)
        thinking = config.get("thinkingConfig") or {}
        budget = thinking.get("thinkingBudget")
        if budget is None or not applies(budget) or (new := replace(budget, least, most)) == budget:
            return call
        notes.adjust("thinking", str(new), REASON)
        return with_config(call, {**config, "thinkingConfig": {**thinking, "thinkingBudget": new}})

    return change


def _changing_thinking(change: Callable[[Json], Json], to: str) -> Change:
    """Return a change of the settings for thinking, noted as adjusted *to* that."""

    def changed(call: UpstreamCall, notes: Notes) -> UpstreamCall:
        config = config_of(call)
        thinking = config.get("thinkingConfig")
        if thinking is None or (new := change(thinking)) == thinking:
            return call
        notes.adjust("thinking", to, REASON)
        return with_config(call, {**config, "thinkingConfig": new})

    return changed


def _raise_minimal(thinking: Json) -> Json:
    low = thinking.get("thinkingLevel") == "MINIMAL"
    return {**thinking, "thinkingLevel": "LOW"} if low else thinking


def _turn_on(thinking: Json) -> Json:
    # The least budget of any model that cannot turn thinking off.
    off = thinking.get("thinkingBudget") == 0
    return {**thinking, "thinkingBudget": 512} if off else thinking


def _without_amount(thinking: Json) -> Json:
    return {k: v for k, v in thinking.items() if k == "includeThoughts"}


without_minimal_thinking = _changing_thinking(_raise_minimal, "LOW")
without_thinking_off = _changing_thinking(_turn_on, "512")
without_thinking_amount = _changing_thinking(_without_amount, "automatic")
