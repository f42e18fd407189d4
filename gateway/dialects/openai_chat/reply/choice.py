"""The state of one candidate of a reply while its events arrive."""

from collections.abc import Sequence
from typing import Any

from gateway.dialects.openai_chat.reply.audio_output import AudioOutput
from gateway.dialects.openai_chat.reply.distinct import Distinct
from gateway.dialects.openai_chat.reply.options import ReplyOptions
from gateway.exchange import Json


class Choice:
    """One candidate: what it said so far and what must wait for its end.

    *parts* are Gemini's own, without thoughts and with neighbouring plain texts joined: the model's
    turn as the next request must repeat it. *pieces* are the texts of `content`, each with whether
    Gemini wrote it (true) or the gateway inserted it (false). *image_keys* are the keys by which
    the images will be recognised when they come back. *finish_reason* is in Gemini's vocabulary.
    *grounding_lists* are the lists in *grounding* that came in pieces. *is_whole* means that
    nothing can come after what the candidate holds.
    """

    __slots__ = (
        "audio",
        "average_logprob",
        "call_ids",
        "calls",
        "citations",
        "continuation",
        "draft",
        "executions",
        "finish_message",
        "finish_reason",
        "grounding",
        "grounding_lists",
        "image_keys",
        "images",
        "index",
        "is_blocked",
        "is_whole",
        "natives",
        "options",
        "parts",
        "pending",
        "pieces",
        "ratings",
        "run",
    )

    def __init__(self, index: int, options: ReplyOptions) -> None:
        self.index = index
        self.options = options
        self.is_whole = False
        self.finish_reason: str | None = None
        self.finish_message: str | None = None
        self.continuation: str | None = None
        self.average_logprob: float | None = None
        self.is_blocked = False
        self.ratings: Sequence[Json] = ()
        self.calls: list[Json] = []
        self.call_ids: set[str] = set()
        self.pending: Json | None = None
        self.parts: list[Json] = []
        self.pieces: list[tuple[str, bool]] = []
        self.images = 0
        self.executions = self.natives = 0
        self.image_keys: list[str] = []
        self.draft: Json | None = None
        self.audio: AudioOutput | None = None
        self.grounding: Json = {}
        self.grounding_lists: dict[str, dict[str, Distinct]] = {}
        self.citations: dict[tuple[Any, ...], Json] = {}
        # The plain text since the last part of another kind, in UTF-8. One string per event, which
        # is what a `StringIO` keeps, would cost a long stream four times its text.
        self.run = bytearray()

    def chunk(self, delta: Json) -> Json:
        """Return the chunk that adds *delta* to this choice."""
        return {"choices": [{"index": self.index, "delta": delta, "finish_reason": None}]}

    def add_part(self, part: Json) -> None:
        """Keep *part* for the next turn, after the text that came before it."""
        self.end_run()
        self.parts.append(part)

    def native(self, part: Json) -> list[Json]:
        """Return the delta of a part that is passed on as it came."""
        self.natives += 1
        return [{"native_parts": [{**part, "index": self.natives - 1}]}]

    def insert(self, text: str) -> Json:
        """Return the delta that inserts *text*, which Gemini did not write, into `content`."""
        self.end_run()
        self.pieces.append((text, False))
        return {"content": text}

    def end_run(self) -> None:
        """End the run of plain text, so that something else can follow it."""
        if self.run:
            text = self.run.decode()
            self.parts.append({"text": text})
            self.pieces.append((text, True))
            self.run.clear()

    def break_before(self) -> str:
        """Return what must be inserted so that a block starts on a line of its own."""
        self.end_run()
        last = next((text for text, _ in reversed(self.pieces) if text), "\n\n")
        if last.endswith("\n\n"):
            return ""
        return "\n" if last.endswith("\n") else "\n\n"

    def content(self) -> str:
        """Return all of `content` so far."""
        self.end_run()
        return "".join(text for text, _ in self.pieces)

    def says_something(self) -> bool:
        """Tell whether the client got any content; an empty text with a signature is none.

        Only valid after `end_run`.
        """
        return any(text for text, _ in self.pieces) or any(
            "text" not in part for part in self.parts
        )

    def has_more_than_text(self) -> bool:
        """Tell whether more than plain text is to be remembered of this turn."""
        return any(len(part) > 1 or "text" not in part for part in self.parts)

    def awaits_result(self) -> bool:
        """Tell whether the last part is code that Gemini has yet to run."""
        if self.is_whole or self.run or not self.parts:
            return False
        return "executableCode" in self.parts[-1]
