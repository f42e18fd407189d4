"""What ends a choice: facts beside the parts are noted as they come and told at the end."""

from collections.abc import Callable

from gateway.dialects.openai_chat.choice import Choice
from gateway.dialects.openai_chat.finish import (
    finish_reason,
    is_failed,
    is_filtered,
    native_reason,
    refusal,
)
from gateway.errors import UpstreamEmpty
from gateway.exchange import Json

Noter = Callable[[Choice, object], None]


def note(choice: Choice, candidate: Json) -> None:
    """Note what *candidate* says beside its parts."""
    for key in candidate:
        noter = _NOTERS.get(key)
        if noter is not None and candidate[key]:
            noter(choice, candidate[key])


def closing(choice: Choice, block: Json | None) -> list[Json]:
    """Give the last chunks of *choice*; *block* is the feedback of a prompt that was refused.

    Raises `UpstreamEmpty` when Gemini gave up and there is nothing to relay.
    """
    native, message = choice.finish_reason, choice.finish_message
    if block:
        native = str(block.get("blockReason") or "BLOCKED")
        message = block.get("blockReasonMessage")
        choice.ratings = block.get("safetyRatings") or choice.ratings
    assert native is not None
    empty = not (choice.content() or choice.parts)
    if empty and is_failed(native):
        raise UpstreamEmpty(f"Gemini gave no answer: {native}. {message or ''}".rstrip())
    chunks = []
    filtered = block is not None or is_filtered(native)
    if filtered:
        chunks.append(_chunk(choice, {"refusal": refusal(native, message, choice.ratings)}))
    choice.ended = "content_filter" if filtered else _ended(choice, native)
    last = {
        "index": choice.index,
        "delta": {},
        "finish_reason": choice.ended,
        "native_finish_reason": native,
    }
    if empty and native == "STOP" and not message:
        message = "Gemini ended without any output."
    if message:
        last["finish_message"] = message
    return [*chunks, {"choices": [last]}]


def _ended(choice: Choice, native: str) -> str:
    word = finish_reason(native, calls=bool(choice.calls))
    return "function_call" if word == "tool_calls" and choice.asked.legacy else word


def _note_reason(choice: Choice, value: object) -> None:
    # The last one wins: code executions were recorded with a STOP in mid-stream.
    choice.finish_reason = native_reason(value) or choice.finish_reason


def _note_message(choice: Choice, value: object) -> None:
    choice.finish_message = str(value)


def _note_ratings(choice: Choice, value: object) -> None:
    assert isinstance(value, list)
    choice.ratings = value


def _chunk(choice: Choice, delta: Json) -> Json:
    return {"choices": [{"index": choice.index, "delta": delta, "finish_reason": None}]}


_NOTERS: dict[str, Noter] = {
    "finishReason": _note_reason,
    "finishMessage": _note_message,
    "safetyRatings": _note_ratings,
}
