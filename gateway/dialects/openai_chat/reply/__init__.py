"""The reply as a state machine: events in, chunks out.

A whole answer has the shape of one event, so there is one path: `feed` and `finish` give the same
chunks for both, and `collect` folds them. What ends an answer (finish reason, citations, usage) is
decided in `finish`, for Gemini may say STOP and continue (seen in recorded code executions).

Each candidate has a `choice`; `parts` and the modules of their kinds write its deltas, `closing`
what comes at its end.
"""

from functools import lru_cache
from zlib import crc32

import orjson

from gateway.dialects.openai_chat import turns
from gateway.dialects.openai_chat.embedded import ImageBudget, split_images
from gateway.dialects.openai_chat.errors import error_in_event
from gateway.dialects.openai_chat.reply import collect, logprobs, usage
from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.dialects.openai_chat.reply.closing import closing_chunks, end_reason, note, note_block
from gateway.dialects.openai_chat.reply.options import ReplyOptions, reply_options
from gateway.dialects.openai_chat.reply.parts import translate
from gateway.errors import UpstreamError, UpstreamTruncated
from gateway.exchange import Json, Known, UpstreamCall, Usage
from gateway.models import answering, base_name
from gateway.wire.counts import Tokens, tally
from gateway.wire.endings import is_blocked
from gateway.wire.events import STRANGE
from gateway.wire.lookups import Lookups
from gateway.wire.sunset import http_date

_SHAPE_FAULTS = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
# A candidate with only these has nothing to be noted.
_PARTS_ONLY = frozenset({"content", "index"})


class ChatReply:
    """Translates the events of one reply into chat.completion chunks.

    *model* is the one that answered, *sunset* when Gemini retires it, as an HTTP date.
    """

    __slots__ = (
        "_choices",
        "_cost",
        "_counts",
        "_fingerprint",
        "_head",
        "_metadata",
        "_options",
        "_usage_head",
        "model",
        "sunset",
    )

    def __init__(self, call: UpstreamCall, payload: Json, known: Known) -> None:
        self._options: ReplyOptions = reply_options(call, payload, known)
        self._choices: dict[int, Choice] = {}
        self._metadata: Json = {}
        self._counts: tuple[Usage, Tokens, Tokens] | None = None
        self._cost = known.cost
        self.model: str | None = None
        self.sunset: str | None = None
        self._fingerprint = _fingerprint(call.model)
        self._head = self._usage_head = b""

    @property
    def usage(self) -> Usage | None:
        """The counts of the last event, also of a stream that was cut; None before the first."""
        if self._counts is None and self._metadata:
            self._counts = counts = tally(self._metadata)
            for choice in self._choices.values():
                if choice.grounding:
                    lookups = Lookups()
                    lookups.note(0, choice.grounding.get("groundingMetadata"))
                    lookups.count(counts[0])
        return None if self._counts is None else self._counts[0]

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended, in OpenAI's vocabulary; None while any choice goes on."""
        # In a stream any of them may come first.
        ends = {index: end_reason(choice) for index, choice in self._choices.items()}
        return ends[min(ends)] if ends and all(ends.values()) else None

    def open(self) -> list[Json]:
        """Return the chunk to send before the first event: the role of the first choice."""
        chunks: list[Json] = []
        if not self._choices:
            self._open(0, chunks)
        return chunks

    def feed(self, *events: Json) -> list[Json]:
        """Translate *events*.

        Raises the `GatewayError` that one reports, `UpstreamError` for one of an unknown shape.
        """
        chunks: list[Json] = []
        try:
            for event in events:
                self._feed(event, chunks)
        except _SHAPE_FAULTS as error:
            raise UpstreamError(STRANGE) from error
        return chunks

    def finish(self, *, broken: bool = False) -> list[Json]:
        """Return the closing chunks of every choice, then the usage if it was requested.

        Code that still waits for its result will get none; only if the body was *broken* may that
        have been lost.

        Raises `UpstreamTruncated` when a choice has no finish reason, `UpstreamEmpty` when Gemini
        gave up on one that is empty.
        """
        if not self._choices:
            raise UpstreamTruncated("Gemini's reply ended before it began.")
        for choice in self._choices.values():
            choice.is_whole = not broken
        try:
            chunks = [
                chunk for choice in self._choices.values() for chunk in closing_chunks(choice)
            ]
        except _SHAPE_FAULTS as error:
            raise UpstreamError(STRANGE) from error
        if self._options.include_usage:
            chunks.append({"choices": [], **self._totals()})
        elif (counts := self.usage) is not None:
            # OpenAI's streams name the tier without usage, too.
            chunks[-1].update(usage.service_tier(counts))
        return chunks

    def encode(self, chunks: list[Json]) -> bytes:
        """Return the frames of *chunks* as bytes."""
        if not self._head:
            self._set_heads()
        pieces: list[bytes] = []
        for chunk in chunks:
            head = self._usage_head if "usage" in chunk else self._head
            pieces += (head, orjson.dumps(chunk)[1:], b"\n\n")
        return b"".join(pieces)

    def collect(self, chunks: list[Json]) -> Json:
        """Fold all chunks of the reply, those of `finish` included, into the whole answer."""
        return {
            **self._facts("chat.completion"),
            "choices": collect.choices(chunks),
            **self._totals(),
        }

    def memories(self) -> list[tuple[str, bytes]]:
        """Return what the next turn of this conversation needs, as pairs of key and value."""
        special = [choice for choice in self._choices.values() if choice.has_more_than_text()]
        if not special:
            return []
        options = self._options
        origin = turns.Origin(base_name(options.model), options.question, options.occasion)
        try:
            return [
                entry
                for choice in special
                for entry in turns.memory_entries(
                    choice.parts, _written(choice), choice.calls, choice.image_keys, origin
                )
            ]
        except _SHAPE_FAULTS:
            # The turn holds what cannot be written; it could not be sent again either.
            return []

    def _set_heads(self) -> None:
        """Prepare the beginning of all chunks: only the variable part is encoded for each."""
        facts = orjson.dumps(self._facts("chat.completion.chunk"))
        self._usage_head = b"data: " + facts[:-1] + b","
        self._head = self._usage_head + (b'"usage":null,' if self._options.include_usage else b"")

    def _facts(self, kind: str) -> Json:
        return {
            "id": f"chatcmpl-{self._options.exchange_id}",
            "created": self._options.created,
            "model": self._options.model,
            "system_fingerprint": self._fingerprint,
            "object": kind,
        }

    def _feed(self, event: Json, chunks: list[Json]) -> None:
        """Append the chunks of *event* to *chunks*."""
        # First, because it is paid for whatever the rest turns out to be.
        metadata = event.get("usageMetadata")
        if type(metadata) is dict:
            self._metadata = metadata
            self._counts = None
        if self.model is None:
            self.model = answering(event.get("modelVersion"))
        candidates = event.get("candidates")
        if candidates:
            for candidate in candidates:
                self._candidate(candidate, chunks)
        if "error" in event:
            raise error_in_event(event["error"])
        if "promptFeedback" in event:
            feedback = event["promptFeedback"]
            if is_blocked(feedback):
                index = (candidates[0].get("index") or 0) if candidates else 0
                note_block(self._choices.get(index) or self._open(index, chunks), feedback)
        if "modelStatus" in event:
            self.sunset = http_date((event["modelStatus"] or {}).get("retirementTime"))

    def _candidate(self, candidate: Json, chunks: list[Json]) -> None:
        index = candidate.get("index") or 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._open(index, chunks)
        before = len(chunks)
        content = candidate.get("content")
        for part in (content.get("parts") or ()) if content else ():
            text = part.get("text")
            if text and len(part) == 1:
                # Nearly every part of nearly every stream: plain text and nothing else.
                choice.run += text.encode()
                delta = {"content": text}
                chunks.append(
                    {"choices": [{"index": index, "delta": delta, "finish_reason": None}]}
                )
            else:
                chunks += [choice.chunk(delta) for delta in translate(choice, part)]
        if "logprobsResult" in candidate:
            if len(chunks) == before or not chunks[-1]["choices"][0]["delta"].get("content"):
                # They belong to no text of this reply.
                chunks.append(choice.chunk({}))
            chunks[-1]["choices"][0]["logprobs"] = logprobs.wire(candidate["logprobsResult"] or {})
        if not _PARTS_ONLY.issuperset(candidate):
            note(choice, candidate)

    def _open(self, index: int, chunks: list[Json]) -> Choice:
        if not isinstance(index, int):
            raise TypeError("the index of a candidate is a number")
        choice = self._choices[index] = Choice(index, self._options)
        chunks.append(choice.chunk({"role": "assistant", "content": ""}))
        return choice

    def _totals(self) -> Json:
        counts = self.usage
        if counts is None or self._counts is None:
            return {}
        fields = usage.wire(*self._counts)
        cost = self._cost(counts)
        if cost is not None:
            fields["cost"] = cost
        return {"usage": fields, **usage.service_tier(counts)}


def _written(choice: Choice) -> str:
    """Return all of `content` except the images in it."""
    content = choice.content()
    if not choice.image_keys:
        return content
    return "".join(part["text"] for part in split_images(content, ImageBudget()) if "text" in part)


@lru_cache(maxsize=256)
def _fingerprint(model: str) -> str:
    return f"fp_{crc32(model.encode()):08x}"
