"""A native reply: every event is passed on unchanged, and read for what is booked."""

import orjson

from gateway.errors import UpstreamError, UpstreamTruncated
from gateway.exchange import BYTES_PER_TOKEN, Json, UpstreamCall, Usage
from gateway.models import answering
from gateway.wire.counts import count
from gateway.wire.endings import is_blocked, native_reason
from gateway.wire.events import STRANGE
from gateway.wire.lookups import Lookups
from gateway.wire.sunset import http_date

_SHAPE_FAULTS = (AttributeError, IndexError, KeyError, TypeError, ValueError)
# An empty line between frames, which event parsers ignore.
_NOTHING = b"\r\n"
# Actions whose answers may lack counts.
_COUNTS_TEXTS = frozenset({"embedContent", "batchEmbedContents"})


class GeminiReply:
    """Reads the events of one reply.

    *model* is the one that answered, *sunset* when Gemini retires it, as an HTTP date.
    """

    __slots__ = (
        *("_ended", "_estimate", "_has_events", "_lookups", "_metadata", "_reason", "_streamed"),
        *("model", "sunset"),
    )

    def __init__(self, call: UpstreamCall) -> None:
        # A whole answer cannot be truncated, whatever it holds.
        self._streamed = call.stream
        # Embeddings come without counts: the request is measured before it is dropped.
        texts = call.action in _COUNTS_TEXTS
        self._estimate = len(orjson.dumps(call.body)) // BYTES_PER_TOKEN if texts else 0
        self._has_events = False
        self._metadata: Json = {}
        self._lookups = Lookups()
        self._reason: str | None = None
        self._ended = False
        self.model: str | None = None
        self.sunset: str | None = None

    @property
    def usage(self) -> Usage | None:
        """The counts of the last event that had any; an estimate where embeddings came without."""
        if self._metadata:
            counts = count(self._metadata)
            self._lookups.count(counts)
            return counts
        if not (self._has_events and self._estimate):
            return None
        return Usage(prompt=self._estimate, total=self._estimate)

    @property
    def finish_reason(self) -> str | None:
        """Why the first candidate ended, in Gemini's vocabulary."""
        return self._reason

    def open(self) -> list[Json]:
        """Return what is sent before the first event: an empty chunk."""
        return [{}]

    def feed(self, *events: Json) -> list[Json]:
        """Pass *events* on, and note what is booked. Raises `UpstreamError` for a malformed one."""
        self._has_events = True
        try:
            for event in events:
                self._note(event)
        except _SHAPE_FAULTS as error:
            raise UpstreamError(STRANGE) from error
        return list(events)

    def _note(self, event: Json) -> None:
        metadata = event.get("usageMetadata")
        if type(metadata) is dict:
            self._metadata = metadata
        if self.model is None:
            self.model = answering(event.get("modelVersion"))
        for candidate in event.get("candidates") or ():
            reason = native_reason(candidate.get("finishReason"))
            if reason is not None:
                self._ended = True
                if not candidate.get("index"):
                    self._reason = reason
            if grounding := candidate.get("groundingMetadata"):
                self._lookups.note(candidate.get("index") or 0, grounding)
        if is_blocked(event.get("promptFeedback")):
            self._ended = True
        if event.get("modelStatus"):
            self.sunset = http_date(event["modelStatus"].get("retirementTime"))

    def finish(self, *, broken: bool = False) -> list[Json]:
        """Close the reply. Raises `UpstreamTruncated` when the stream was cut before its end."""
        del broken
        if self._streamed and not self._ended:
            raise UpstreamTruncated("Gemini's reply ended without a finish reason.")
        return []

    def encode(self, chunks: list[Json]) -> bytes:
        """Return the frames of *chunks*, with line ends as Google sends them."""
        frames = [
            b"data: " + orjson.dumps(chunk) + b"\r\n\r\n" if chunk else _NOTHING for chunk in chunks
        ]
        return b"".join(frames)

    def collect(self, chunks: list[Json]) -> Json:
        """Return the whole answer, which comes as one event."""
        return chunks[0]

    def memories(self) -> list[tuple[str, bytes]]:
        """Return nothing: these clients keep signatures themselves."""
        return []
