"""Gemini's embeddings as OpenAI's."""

import math
import struct
from base64 import b64encode
from itertools import accumulate

from gateway.dialects.openai_embeddings.request import inputs
from gateway.errors import UpstreamError
from gateway.exchange import BYTES_PER_TOKEN, Json, UpstreamCall, Usage
from gateway.wire.counts import count

_STRANGE = "Gemini sent vectors that cannot be understood."


class EmbeddingsReply:
    """Joins the vectors of all calls, in the order of the texts.

    *usage* is an estimate unless Gemini counts, which none of 16 recorded answers does.
    """

    __slots__ = (
        "_base64",
        "_counted",
        "_model",
        "_shortened",
        "_sizes",
        "_texts",
        "_vectors",
        "model",
        "sunset",
    )

    def __init__(self, call: UpstreamCall, payload: Json) -> None:
        self._model: str = payload["model"]
        self._base64 = payload.get("encoding_format") == "base64"
        self._shortened = "outputDimensionality" in call.body["requests"][0]
        self._sizes = [len(body["requests"]) for body in (call.body, *call.further)]
        self._texts = inputs(payload)
        # By the number of the call, as the calls end in any order.
        self._vectors: dict[int, list[list[float]]] = {}
        self._counted = 0
        # Gemini names neither for embeddings.
        self.model: str | None = None
        self.sunset: str | None = None

    @property
    def usage(self) -> Usage | None:
        """The tokens of the texts that have vectors; None before the first one."""
        if not self._vectors:
            return None
        tokens = self._counted or self._estimated()
        return Usage(prompt=tokens, total=tokens)

    @property
    def finish_reason(self) -> str | None:
        """None: embeddings have no finish reason."""
        return None

    def open(self) -> list[Json]:
        """Return nothing: nothing is sent before the vectors."""
        return []

    def feed(self, *events: Json) -> list[Json]:
        """Take the answers to calls. Raises `UpstreamError` for one without vectors."""
        for event in events:
            self._take(event)
        return []

    def _take(self, event: Json) -> None:
        try:
            vectors = [
                [float(value) for value in embedding["values"]] for embedding in event["embeddings"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise UpstreamError(_STRANGE) from error
        index = event.get("index")
        self._vectors[index if type(index) is int else 0] = vectors
        metadata = event.get("usageMetadata")
        if type(metadata) is dict:
            self._counted += count(metadata).prompt

    def finish(self, *, broken: bool = False) -> list[Json]:
        """Check that every text of every call has its vector. Raises `UpstreamError`."""
        del broken
        sizes = [len(self._vectors[at]) for at in sorted(self._vectors)]
        if sizes != self._sizes or not all(map(all, self._vectors.values())):
            raise UpstreamError("Gemini did not send a vector for each text.")
        return []

    def encode(self, chunks: list[Json]) -> bytes:
        """Return nothing: vectors are not streamed."""
        del chunks
        return b""

    def collect(self, chunks: list[Json]) -> Json:
        """Return the whole answer."""
        del chunks
        vectors = [vector for at in sorted(self._vectors) for vector in self._vectors[at]]
        tokens = self.usage.prompt if self.usage else 0
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": at, "embedding": self._encoded(vector)}
                for at, vector in enumerate(vectors)
            ],
            "model": self._model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def memories(self) -> list[tuple[str, bytes]]:
        """Return nothing: there is no next turn."""
        return []

    def _estimated(self) -> int:
        starts = [0, *accumulate(self._sizes)]
        calls = [at for at in self._vectors if 0 <= at < len(self._sizes)]
        texts = (text for at in calls for text in self._texts[starts[at] : starts[at + 1]])
        return sum(map(_estimate, texts))

    def _encoded(self, vector: list[float]) -> list[float] | str:
        if self._shortened:
            vector = _normalised(vector)
        if not self._base64:
            return vector
        try:
            return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        except OverflowError:
            raise UpstreamError(_STRANGE) from None


def _normalised(vector: list[float]) -> list[float]:
    """Return *vector* scaled to length 1, which shortened ones of gemini-embedding-001 lack."""
    length = math.hypot(*vector)
    if length == 0 or math.isclose(length, 1, rel_tol=1e-6):
        return vector
    return [value / length for value in vector]


def _estimate(text: str) -> int:
    return max(1, len(text.encode(errors="replace")) // BYTES_PER_TOKEN)
