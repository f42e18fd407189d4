"""Embeddings from the digest of a text: equal texts give equal vectors."""

import hashlib
import math
import struct

from gateway.simulator.answers.usage import count, details
from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal
from gateway.simulator.strict import normalise

_DIMENSIONS = 3072
_MOST_IN_BATCH = 100


def embed(body: object, model: Model) -> Json:
    """Answer embedContent."""
    request = normalise(body, "EmbedContentRequest")
    return {"embedding": _embedding(request, model), **_usage([request["content"]])}


def batch(body: object, model: Model) -> Json:
    """Answer batchEmbedContents: without usage, as the real API."""
    requests = normalise(body, "BatchEmbedContentsRequest").get("requests", [])
    if not requests:
        raise Refusal("* BatchEmbedContentsRequest.requests: requests is not specified\n")
    if len(requests) > _MOST_IN_BATCH:
        raise Refusal(
            "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n"
        )
    for at, request in enumerate(requests):
        if request.get("model") != f"models/{model.name}":
            raise Refusal(
                f"* BatchEmbedContentsRequest.requests[{at}].model: model must be"
                f" models/{model.name}\n"
            )
    return {"embeddings": [_embedding(request, model) for request in requests]}


def _embedding(request: Json, model: Model) -> Json:
    options = {**(request.get("embedContentConfig") or {}), **request}
    if options.get("taskType") and "task_type" in model.refuses:
        raise Refusal(f"Task type is not supported for models/{model.name}")
    parts = (request.get("content") or {}).get("parts")
    if not parts:
        raise Refusal("* EmbedContentRequest.content: contents is not specified\n")
    dimensions = options.get("outputDimensionality", _DIMENSIONS)
    if not 1 <= dimensions <= _DIMENSIONS:
        raise Refusal("* EmbedContentRequest.output_dimensionality: must be in [1, 3072]\n")
    text = "\n".join(part.get("text") or str(part) for part in parts)
    values = _vector(text)
    # As gemini-embedding-001 does: a shortened vector is not normalised again.
    return {"values": values[:dimensions]}


def _vector(text: str) -> list[float]:
    raw = hashlib.shake_128(text.encode("utf-8", "replace")).digest(2 * _DIMENSIONS)
    numbers = struct.unpack(f"<{_DIMENSIONS}h", raw)
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


def _usage(contents: list[Json]) -> Json:
    counts = count(contents)
    return {
        "usageMetadata": {
            "promptTokenCount": sum(counts.values()),
            "promptTokenDetails": details(counts),
        }
    }
