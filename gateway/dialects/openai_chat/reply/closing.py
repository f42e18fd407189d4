"""The end of a choice: facts outside the parts are noted as they come and sent at the end."""

from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.openai_chat.reply.audio import last_audio
from gateway.dialects.openai_chat.reply.calls import last_call
from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.dialects.openai_chat.reply.citations import annotations, keep_citations
from gateway.dialects.openai_chat.reply.finish import finish_reason, refusal
from gateway.dialects.openai_chat.reply.grounding import grounding_noter
from gateway.dialects.openai_chat.reply.images import last_draft
from gateway.errors import UpstreamEmpty, UpstreamTruncated
from gateway.exchange import Json
from gateway.wire.endings import is_failed, native_reason

Noter = Callable[[Choice, Any], None]


def note(choice: Choice, candidate: Json) -> None:
    """Note what *candidate* contains besides its parts."""
    for key in candidate:
        noter = _NOTERS.get(key)
        if noter is not None and candidate[key]:
            noter(choice, candidate[key])


def note_block(choice: Choice, feedback: Json) -> None:
    """Note that Gemini refused the prompt, according to its *feedback*."""
    choice.is_blocked = True
    choice.finish_reason = str(feedback.get("blockReason") or "BLOCKED")
    message = feedback.get("blockReasonMessage")
    choice.finish_message = str(message) if message else None
    _note_ratings(choice, feedback.get("safetyRatings") or [])


def end_reason(choice: Choice) -> str | None:
    """Return OpenAI's finish reason of *choice*; None if it did not end."""
    native = choice.finish_reason
    if native is None or (native == "STOP" and choice.awaits_result()):
        return None
    if choice.is_blocked:
        return "content_filter"
    word = finish_reason(native, calls=bool(choice.calls or choice.pending))
    return "function_call" if word == "tool_calls" and choice.options.legacy_functions else word


def closing_chunks(choice: Choice) -> list[Json]:
    """Return the last chunks of *choice*.

    Raises `UpstreamTruncated` if it did not end, `UpstreamEmpty` if Gemini gave up on it and there
    is nothing to relay.
    """
    native, message, word = choice.finish_reason, choice.finish_message, end_reason(choice)
    if native is None or word is None:
        raise UpstreamTruncated("Gemini's reply ended without a finish reason.")
    deltas: list[Json] = []
    if choice.pending is not None or choice.draft is not None:
        deltas += (*last_call(choice), *last_draft(choice))
    choice.end_run()
    if choice.grounding or choice.citations:
        deltas += _evidence(choice)
    if choice.audio is not None:
        deltas += last_audio(choice)
    if word == "content_filter":
        deltas.append({"refusal": refusal(native, message, choice.ratings)})
    elif not (choice.audio or choice.says_something()):
        if is_failed(native):
            raise UpstreamEmpty(f"Gemini gave no answer: {native}. {message or ''}".rstrip())
        message = message or "Gemini ended without any output."
    chunks = [choice.chunk(delta) for delta in deltas]
    return [*chunks, {"choices": [_last(choice, word, native, message)]}]


def _last(choice: Choice, word: str, native: str, message: str | None) -> Json:
    """Return the content of the last chunk of *choice*."""
    last = {
        "index": choice.index,
        "delta": {},
        "finish_reason": word,
        "native_finish_reason": native,
    }
    if message:
        last["finish_message"] = message
    if choice.continuation:
        last["continuation_token"] = choice.continuation
    if choice.average_logprob is not None:
        last["avg_logprobs"] = choice.average_logprob
    if choice.ratings:
        last["safety_ratings"] = choice.ratings
    return last


def _evidence(choice: Choice) -> list[Json]:
    """Return the deltas of the citations and of the metadata that they were made from."""
    cited = annotations(choice)
    deltas: list[Json] = [{"annotations": cited}] if cited else []
    metadata = dict(choice.grounding)
    if choice.citations:
        metadata["citationMetadata"] = {"citationSources": list(choice.citations.values())}
    return [*deltas, {"grounding": metadata}]


def _note_reason(choice: Choice, value: Any) -> None:
    # The last one counts: code executions were recorded with a STOP in mid-stream. The reason why a
    # prompt was refused is not one of them.
    if not choice.is_blocked:
        choice.finish_reason = native_reason(value) or choice.finish_reason


def _note_message(choice: Choice, value: Any) -> None:
    choice.finish_message = str(value)


def _note_continuation(choice: Choice, value: Any) -> None:
    # The answer continues if the same request has this (google-genai 3.4: `continuation_token`).
    choice.continuation = str(value)


def _note_average(choice: Choice, value: Any) -> None:
    if type(value) in (int, float):
        choice.average_logprob = value


def _note_ratings(choice: Choice, value: Any) -> None:
    # What is nested too deeply to be sent is refused here, not when it is written.
    orjson.dumps(value)
    choice.ratings = value


_NOTERS: dict[str, Noter] = {
    "finishReason": _note_reason,
    "finishMessage": _note_message,
    "continuationToken": _note_continuation,
    "avgLogprobs": _note_average,
    "safetyRatings": _note_ratings,
    "citationMetadata": keep_citations,
    "groundingMetadata": grounding_noter("groundingMetadata"),
    "urlContextMetadata": grounding_noter("urlContextMetadata"),
}
