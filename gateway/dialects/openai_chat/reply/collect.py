"""Folds the chunks of a reply into one answer."""

from typing import Any

from gateway.dialects.openai_chat.reply import audio
from gateway.exchange import Json

_JOINED = frozenset({"content", "reasoning_content", "refusal"})
# Deltas whose lists are concatenated.
_LISTED = frozenset({"tool_calls", "images", "annotations", "code_execution", "native_parts"})
_INDEXED = frozenset({"tool_calls", "code_execution", "native_parts"})
# The index, the delta and the finish reason, which is None in nearly every chunk.
_FIELDS_OF_ALL = 3
# Fields that may take the place of content.
_SPEECHLESS = frozenset({"tool_calls", "function_call", "audio"})

# The deltas of one choice, gathered by name.
_Deltas = dict[str, list[Any]]


def choices(chunks: list[Json]) -> list[Json]:
    """Return the choices of the whole answer, in order of their index."""
    folded: dict[int, tuple[Json, _Deltas]] = {}
    for chunk in chunks:
        for addition in chunk["choices"]:
            index = addition["index"]
            if index not in folded:
                folded[index] = {"index": index, "message": None, "finish_reason": None}, {}
            choice, deltas = folded[index]
            for name, value in addition["delta"].items():
                if name in deltas:
                    deltas[name].append(value)
                else:
                    deltas[name] = [value]
            if len(addition) > _FIELDS_OF_ALL or addition["finish_reason"] is not None:
                choice.update(addition)
                if "logprobs" in addition:
                    deltas.setdefault("logprobs", []).append(addition["logprobs"]["content"])
    if len(folded) > 1:
        folded = dict(sorted(folded.items()))
    return [_whole(choice, deltas) for choice, deltas in folded.values()]


def _whole(choice: Json, deltas: _Deltas) -> Json:
    """Return *choice* with its message and all of its log probabilities."""
    logprobs: list[Json] = []
    if "logprobs" in deltas:
        logprobs = [token for content in deltas.pop("logprobs") for token in content]
    choice["message"] = _message(deltas)
    choice["logprobs"] = {"content": logprobs, "refusal": None} if logprobs else None
    if "delta" in choice:
        del choice["delta"]
    return choice


def _message(deltas: _Deltas) -> Json:
    message: Json = {"role": "assistant", "content": "", "refusal": None}
    for name, values in deltas.items():
        if name in _JOINED:
            message[name] = "".join(values)
        elif name in _LISTED:
            message[name] = [item for value in values for item in value]
        elif name == "audio":
            message[name] = audio.join(values)
        else:
            message[name] = values[-1]
    for name in _INDEXED.intersection(message):
        message[name] = [_without_index(item) for item in message[name]]
    if not message["content"] and (message["refusal"] or not _SPEECHLESS.isdisjoint(message)):
        message["content"] = None
    return message


def _without_index(item: Json) -> Json:
    return {name: value for name, value in item.items() if name != "index"}
