"""Log probabilities: the same for every token."""

from gateway.simulator.refusal import Json

_PROBABILITY = -0.25


def logprobs(parts: list[Json], alternatives: int) -> Json:
    """Return the candidate's fields for the texts of *parts*, *alternatives* per token."""
    tokens = [
        word
        for part in parts
        if not part.get("thought")
        for word in part.get("text", "").replace(" ", "\0 ").split("\0")
        if word
    ]
    chosen = [_token(token, rank=0) for token in tokens]
    top = [
        {"candidates": [_token(token, rank) for rank in range(alternatives)]} for token in tokens
    ]
    result: Json = {"chosenCandidates": chosen}
    if alternatives:
        result["topCandidates"] = top
    return {"avgLogprobs": _PROBABILITY, "logprobsResult": result}


def join(before: Json, after: Json) -> Json:
    """Return the logprobsResult of two parts of one answer."""
    return {name: before.get(name, []) + after.get(name, []) for name in before | after}


def _token(token: str, rank: int) -> Json:
    text = token if rank == 0 else f"{token}{rank}"
    return {"token": text, "tokenId": len(text), "logProbability": _PROBABILITY * (rank + 1)}
