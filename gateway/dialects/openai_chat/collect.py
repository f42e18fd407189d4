"""Fold the chunks of a reply into one answer."""

from typing import Any

from gateway.dialects.openai_chat import audio
from gateway.exchange import Json

_JOINED = ("content", "reasoning_content", "refusal")
# Deltas whose lists follow one another.
_LISTED = ("tool_calls", "images", "annotations", "code_execution", "native_parts")
# The index, the delta and the finish reason, which nearly every chunk tells as None.
_FIELDS_OF_ALL = 3
# What makes up for the lack of content.
_SPEECHLESS = frozenset({"tool_calls", "function_call", "audio"})


def choices(chunks: list[Json]) -> list[Json]:
    """Give the choices of the whole answer, in order of their index."""
    folds: dict[int, _Fold] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            index = choice["index"]
            fold = folds.get(index)
            if fold is None:
                fold = folds[index] = _Fold(index)
            fold.add(choice)
    return [folds[index].choice() for index in sorted(folds)]


class _Fold:
    """The deltas of one choice, gathered by name, and what was said of it besides."""

    __slots__ = ("_choice", "_deltas", "_logprobs")

    def __init__(self, index: int) -> None:
        self._choice: Json = {"index": index, "message": None, "finish_reason": None}
        self._deltas: dict[str, list[Any]] = {}
        self._logprobs: list[Json] = []

    def add(self, choice: Json) -> None:
        deltas = self._deltas
        for name, value in choice["delta"].items():
            if name in deltas:
                deltas[name].append(value)
            else:
                deltas[name] = [value]
        if len(choice) > _FIELDS_OF_ALL or choice["finish_reason"] is not None:
            self._choice.update(choice)
            if "logprobs" in choice:
                self._logprobs += choice["logprobs"]["content"]

    def choice(self) -> Json:
        choice = self._choice
        choice["message"] = self._message()
        choice["logprobs"] = (
            {"content": self._logprobs, "refusal": None} if self._logprobs else None
        )
        choice.pop("delta", None)
        return choice

    def _message(self) -> Json:
        message: Json = {"role": "assistant", "content": "", "refusal": None}
        for name, values in self._deltas.items():
            if name in _JOINED:
                message[name] = "".join(values)
            elif name in _LISTED:
                message[name] = [item for value in values for item in value]
            elif name == "audio":
                message[name] = audio.join(values)
            else:
                message[name] = values[-1]
        if "tool_calls" in message:
            message["tool_calls"] = [_without_index(call) for call in message["tool_calls"]]
        if not message["content"] and (message["refusal"] or not _SPEECHLESS.isdisjoint(message)):
            message["content"] = None
        return message


def _without_index(call: Json) -> Json:
    return {name: value for name, value in call.items() if name != "index"}
