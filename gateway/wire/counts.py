"""Token counts: what `usageMetadata` says, in one form."""

from functools import reduce
from operator import or_
from typing import Any

from gateway.exchange import CALLS, Json, Usage
from gateway.wire.lookups import Lookups

# The index of what each list in `usageMetadata` counts: prompt, cached part or completion.
_DETAILS = {
    "promptTokensDetails": 0,
    "toolUsePromptTokensDetails": 0,
    "cacheTokensDetails": 1,
    "candidatesTokensDetails": 2,
}
# VIDEO and DOCUMENT have no counterpart in OpenAI's API; they are only part of the sum.
_MODALITIES = {"TEXT": "text_tokens", "IMAGE": "image_tokens", "AUDIO": "audio_tokens"}
# Numbers of tokens by OpenAI's names of modalities.
Tokens = dict[str, int]

_INT = frozenset({int})
# With more of them a sum of counts would not fit into 64 bits; Gemini counts in 32.
_COUNT_BITS = 53


def count(metadata: Json) -> Usage:
    """Return the counts of one reply."""
    return tally(metadata)[0]


def count_of(event: Json) -> Usage | None:
    """Return the usage of an answer that ends with *event*; None if it does not say."""
    metadata = event.get("usageMetadata")
    if type(metadata) is not dict:
        return None
    usage, lookups = count(metadata), Lookups()
    candidates = event.get("candidates")
    for index, candidate in enumerate(candidates if type(candidates) is list else ()):
        if type(candidate) is dict:
            lookups.note(index, candidate.get("groundingMetadata"))
    lookups.count(usage)
    return usage


def tally(metadata: Json) -> tuple[Usage, Tokens, Tokens]:
    """Return the counts of one reply, and the tokens of its prompt and completion by modality.

    The tokens that built-in tools add to the prompt are not part of `promptTokenCount`, thoughts
    are not part of `candidatesTokenCount`; cached ones are part of the prompt.
    """
    get = metadata.get
    counts: tuple[Any, ...] = (
        get("promptTokenCount", 0),
        get("toolUsePromptTokenCount", 0),
        get("candidatesTokenCount", 0),
        get("thoughtsTokenCount", 0),
        get("totalTokenCount", 0),
        get("cachedContentTokenCount", 0),
        get(CALLS, 0),
    )
    # A negative number keeps bits however far it is shifted.
    if not _INT.issuperset(map(type, counts)) or reduce(or_, counts) >> _COUNT_BITS:
        counts = tuple(map(_number, counts))
    prompt, tools, completion, thoughts, total, cached, calls = counts
    prompt_modalities, cached_modalities, completion_modalities = _modalities(metadata)
    # Filled one by one: keyword arguments would take three times as long.
    usage = Usage()
    usage.prompt = prompt + tools
    usage.completion = completion + thoughts
    usage.total = total or usage.prompt + usage.completion
    usage.cached = cached
    usage.thoughts = thoughts
    usage.audio_input = prompt_modalities.get("audio_tokens", 0)
    usage.image_input = prompt_modalities.get("image_tokens", 0)
    usage.audio_cached = cached_modalities.get("audio_tokens", 0)
    usage.image_output = completion_modalities.get("image_tokens", 0)
    usage.audio_output = completion_modalities.get("audio_tokens", 0)
    if "candidatesTokensDetails" in metadata:
        usage.video_output = _videos(metadata["candidatesTokensDetails"])
    usage.calls = calls or 1
    if "serviceTier" in metadata:
        usage.tier = str(metadata["serviceTier"] or "").lower()
    return usage, prompt_modalities, completion_modalities


def _number(value: Any) -> int:
    """Return *value* if it is a count, else 0."""
    return value if type(value) is int and not value >> _COUNT_BITS else 0


def _videos(details: Any) -> int:
    """Return the tokens of videos in a completion, which have a price of their own."""
    tokens = 0
    for detail in details if type(details) is list else ():
        if type(detail) is dict and detail.get("modality") == "VIDEO":
            tokens += _number(detail.get("tokenCount"))
    return tokens


def _modalities(metadata: Json) -> tuple[Tokens, Tokens, Tokens]:
    """Return the tokens of prompt, cached part and completion, by modality."""
    counts: tuple[Tokens, Tokens, Tokens] = ({}, {}, {})
    for name, details in metadata.items():
        place = _DETAILS.get(name)
        if place is None or type(details) is not list:
            continue
        tokens_of = counts[place]
        for detail in details:
            word = _MODALITIES.get(str(detail.get("modality"))) if type(detail) is dict else None
            if word:
                tokens_of[word] = tokens_of.get(word, 0) + _number(detail.get("tokenCount"))
    return counts
