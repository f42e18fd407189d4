"""Token counts: Gemini's `usageMetadata` as OpenAI's `usage`."""

from typing import Any

from gateway.exchange import CALLS, Json, Usage

_PROMPT_DETAILS = ("promptTokensDetails", "toolUsePromptTokensDetails")
_CACHE_DETAILS = ("cacheTokensDetails",)
_COMPLETION_DETAILS = ("candidatesTokensDetails",)
_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
# VIDEO and DOCUMENT have no word of OpenAI's; they stay in the sum only.
_MODALITIES = {"TEXT": "text_tokens", "IMAGE": "image_tokens", "AUDIO": "audio_tokens"}
# What has a price of its own, by where it is counted.
_PRICED = (
    (_PROMPT_DETAILS, (("audio_tokens", "audio_input"),)),
    (_CACHE_DETAILS, (("audio_tokens", "audio_cached"),)),
    (_COMPLETION_DETAILS, (("image_tokens", "image_output"), ("audio_tokens", "audio_output"))),
)


def count(metadata: Json) -> Usage:
    """Give the counts of one reply.

    The tokens that built-in tools put into the prompt are beside `promptTokenCount`, thoughts are
    beside `candidatesTokenCount`; cached ones are within the prompt.
    """
    prompt = _number(metadata, "promptTokenCount") + _number(metadata, "toolUsePromptTokenCount")
    thoughts = _number(metadata, "thoughtsTokenCount")
    completion = _number(metadata, "candidatesTokenCount") + thoughts
    usage = Usage(
        prompt=prompt,
        completion=completion,
        total=_number(metadata, "totalTokenCount") or prompt + completion,
        cached=_number(metadata, "cachedContentTokenCount"),
        thoughts=thoughts,
        calls=_number(metadata, CALLS) or 1,
        tier=str(metadata.get("serviceTier") or "").lower(),
    )
    for names, fields in _PRICED:
        counts = _modalities(metadata, names)
        for word, field in fields:
            if word in counts:
                setattr(usage, field, counts[word])
    return usage


def searches(grounding: Any) -> int:
    """Count the searches that a candidate's `groundingMetadata` tells of."""
    queries = grounding.get("webSearchQueries") if type(grounding) is dict else None
    return len(queries) if type(queries) is list else 0


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


def service_tier(usage: Usage) -> Json:
    """Give the tier that served the request as OpenAI's field; nothing where it was not told."""
    tier = _TIERS.get(usage.tier)
    return {"service_tier": tier} if tier else {}


def _number(metadata: Json, name: str) -> int:
    value = metadata.get(name, 0)
    return value if type(value) is int else 0


def _modalities(metadata: Json, names: tuple[str, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        details = metadata.get(name)
        for detail in details if type(details) is list else ():
            word = _MODALITIES.get(str(detail.get("modality"))) if type(detail) is dict else None
            if word:
                counts[word] = counts.get(word, 0) + _number(detail, "tokenCount")
    return counts
