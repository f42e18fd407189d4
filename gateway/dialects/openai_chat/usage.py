"""Token counts: Gemini's `usageMetadata` as OpenAI's `usage`."""

from gateway.exchange import Json, Usage

_PROMPT_DETAILS = ("promptTokensDetails", "toolUsePromptTokensDetails")
_CACHE_DETAILS = ("cacheTokensDetails",)
_COMPLETION_DETAILS = ("candidatesTokensDetails",)
_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
# VIDEO and DOCUMENT have no word of OpenAI's; they stay in the sum only.
_MODALITIES = {"TEXT": "text_tokens", "IMAGE": "image_tokens", "AUDIO": "audio_tokens"}


def count(metadata: Json) -> Usage:
    """Give the counts of one reply.

    The tokens that built-in tools put into the prompt are beside `promptTokenCount`, thoughts are
    beside `candidatesTokenCount`; cached ones are within the prompt.
    """
    prompt = _number(metadata, "promptTokenCount") + _number(metadata, "toolUsePromptTokenCount")
    thoughts = _number(metadata, "thoughtsTokenCount")
    completion = _number(metadata, "candidatesTokenCount") + thoughts
    output = _modalities(metadata, _COMPLETION_DETAILS)
    return Usage(
        prompt=prompt,
        completion=completion,
        total=_number(metadata, "totalTokenCount") or prompt + completion,
        cached=_number(metadata, "cachedContentTokenCount"),
        thoughts=thoughts,
        audio_input=_modalities(metadata, _PROMPT_DETAILS).get("audio_tokens", 0),
        audio_cached=_modalities(metadata, _CACHE_DETAILS).get("audio_tokens", 0),
        image_output=output.get("image_tokens", 0),
        audio_output=output.get("audio_tokens", 0),
    )


def wire(usage: Usage, metadata: Json) -> Json:
    """Give *usage* as OpenAI's object, with the modalities of *metadata* as details."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            **_modalities(metadata, _PROMPT_DETAILS),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.thoughts,
            **_modalities(metadata, _COMPLETION_DETAILS),
        },
    }


def service_tier(metadata: Json) -> Json:
    """Give the tier that served the request as OpenAI's field; nothing where it was not told."""
    told = metadata.get("serviceTier")
    tier = _TIERS.get(str(told).lower()) if told else None
    return {"service_tier": tier} if tier else {}


def _number(metadata: Json, name: str) -> int:
    value = metadata.get(name, 0)
    return value if type(value) is int else 0


def _modalities(metadata: Json, names: tuple[str, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        for detail in _list(metadata[name]) if name in metadata else ():
            word = _MODALITIES.get(str(detail.get("modality")))
            if word:
                counts[word] = counts.get(word, 0) + _number(detail, "tokenCount")
    return counts


def _list(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
