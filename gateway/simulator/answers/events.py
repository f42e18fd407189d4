"""Puts chunks on the wire: as events of a stream, or as one whole answer."""

import hashlib
from collections.abc import Iterator

from gateway.simulator.answers.logprobs import join, logprobs
from gateway.simulator.answers.plan import plan
from gateway.simulator.answers.request import Chunk, Request
from gateway.simulator.answers.usage import Usage
from gateway.simulator.refusal import Json


def stream(request: Request) -> Iterator[Json]:
    """Yield the events of the answer to *request*, each with the usage so far."""
    if request.question.startswith("block the prompt"):
        yield _blocked(request)
        return
    usage, envelope = Usage(request), _envelope(request)
    for chunk in plan(request):
        usage.add(chunk.parts)
        yield {
            "candidates": _candidates(request, chunk),
            "usageMetadata": usage.metadata(),
            **envelope,
        }


def whole(request: Request) -> Json:
    """Return the answer to *request* as one object: all events folded."""
    events = list(stream(request))
    last = events[-1]
    if "candidates" in last:
        columns = zip(*(event["candidates"] for event in events), strict=True)
        last["candidates"] = [_folded(list(column)) for column in columns]
    return last


def _folded(states: list[Json]) -> Json:
    """Return the candidate that results from its *states* over all events."""
    parts: list[Json] = []
    result: Json = {}
    for state in states:
        for part in state["content"].get("parts", ()):
            if part != {"text": ""}:
                _append(parts, part)
        logprobs_before = result.get("logprobsResult")
        result.update(state)
        if logprobs_before:
            result["logprobsResult"] = join(logprobs_before, state["logprobsResult"])
    result["content"] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    return result


def _append(parts: list[Json], part: Json) -> None:
    """Add *part*, joined with the last one where a whole answer would hold both as one."""
    previous = parts[-1] if parts else {}
    if _is_text(part, previous):
        parts[-1] = {**previous, **part, "text": previous["text"] + part["text"]}
    elif _is_sound(part, previous):
        # Pieces of sound are cut where base64 needs no padding.
        blob = part["inlineData"]
        data = previous["inlineData"]["data"] + blob["data"]
        parts[-1] = {"inlineData": {**blob, "data": data}}
    else:
        parts.append(part)


def _is_text(part: Json, previous: Json) -> bool:
    return (
        "text" in part
        and "text" in previous
        and part.get("thought") == previous.get("thought")
        and "thoughtSignature" not in previous
    )


def _is_sound(part: Json, previous: Json) -> bool:
    mimes = [each.get("inlineData", {}).get("mimeType", "") for each in (part, previous)]
    return mimes[0] == mimes[1] and bool(mimes[0].startswith("audio/"))


def _candidates(request: Request, chunk: Chunk) -> list[Json]:
    content = {"parts": chunk.parts, "role": "model"} if chunk.parts else {"role": "model"}
    candidate: Json = {"content": content, **chunk.extra}
    if chunk.finish:
        candidate["finishReason"] = chunk.finish
    if request.config.get("responseLogprobs"):
        candidate.update(logprobs(chunk.parts, request.config.get("logprobs", 0)))
    count = request.config.get("candidateCount", 1)
    return [{**candidate, "index": index} for index in range(count)]


def _envelope(request: Request) -> Json:
    name = hashlib.sha256(request.question.encode("utf-8", "replace")).hexdigest()[:22]
    return {"modelVersion": request.model.name, "responseId": name}


def _blocked(request: Request) -> Json:
    return {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": Usage(request).metadata(),
        **_envelope(request),
    }
