"""Log probabilities: `logprobsResult` as OpenAI's `logprobs`."""

import re
from math import isfinite

from gateway.exchange import Json

# A token that is not valid text by itself is written as its one byte.
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# OpenAI's value for very unlikely tokens. Google's JSON has "-Infinity", a string.
_IMPOSSIBLE = -9999.0


def wire(result: Json) -> Json:
    """Return the `logprobs` of a choice, each token with its UTF-8 bytes and its alternatives."""
    tops = result.get("topCandidates") or []
    chosen = result.get("chosenCandidates") or []
    content = [
        {**_token(candidate), "top_logprobs": _rivals(tops[place]) if place < len(tops) else []}
        for place, candidate in enumerate(chosen)
    ]
    return {"content": content, "refusal": None}


def _rivals(top: Json) -> list[Json]:
    return [_token(candidate) for candidate in top.get("candidates") or ()]


def _token(candidate: Json) -> Json:
    token = candidate.get("token") or ""
    # Zero is omitted on the wire: the token was certain.
    logprob = float(candidate.get("logProbability") or 0.0)
    return {
        "token": token,
        "logprob": logprob if isfinite(logprob) else _IMPOSSIBLE,
        "bytes": _bytes(token),
    }


def _bytes(token: str) -> list[int]:
    lone = _BYTE.fullmatch(token)
    return [int(lone[1], 16)] if lone else list(token.encode())
