"""Token counts as OpenAI's `usage`."""

from gateway.exchange import Json, Usage
from gateway.wire.counts import Tokens

_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}


def wire(usage: Usage, prompt: Tokens, completion: Tokens) -> Json:
    """Return *usage* as OpenAI's object, with the modalities of prompt and completion."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, **prompt},
        "completion_tokens_details": {"reasoning_tokens": usage.thoughts, **completion},
    }


def service_tier(usage: Usage) -> Json:
    """Return the service tier of the reply as OpenAI's field; nothing if Gemini did not say."""
    tier = _TIERS.get(usage.tier)
    return {"service_tier": tier} if tier else {}
