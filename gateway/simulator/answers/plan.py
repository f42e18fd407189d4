"""Decide what the answer is: the first rule of a table that fits."""

import re
from collections.abc import Callable

from gateway.simulator.answers import calls, media, sources, texts, tools
from gateway.simulator.answers.ask import Ask, Chunk
from gateway.simulator.answers.usage import THOUGHT_TOKENS
from gateway.simulator.strict.output import wants_json
from gateway.simulator.strict.turns import responses

_FINISH = re.compile(r"finish with ([A-Z_]+)")
_CHARACTERS_PER_TOKEN = 4


def plan(ask: Ask) -> list[Chunk]:
    """Give the chunks of the answer to *ask*, thoughts first, the finish reason last."""
    for fits, make in _RULES:
        if fits(ask):
            return [*_thoughts(ask), *make(ask)]
    return [*_thoughts(ask), *_text(ask, texts.pieces(ask))]


def _thoughts(ask: Ask) -> list[Chunk]:
    if not ask.shows_thoughts:
        return []
    said = ("**Reading the question**\n\n", "I consider what was asked.\n")
    return [Chunk([{"text": text, "thought": True}]) for text in said]


def _text(ask: Ask, pieces: list[str]) -> list[Chunk]:
    pieces, finish = _limited(ask, pieces)
    if asked := _FINISH.search(ask.question):
        finish = asked[1]
    chunks = [Chunk([{"text": piece}]) for piece in pieces]
    if finish == "MAX_TOKENS" and not pieces:
        return [Chunk([], finish)]
    if ask.model.signs:
        return [*chunks, Chunk([{"text": "", **ask.signature()}], finish)]
    if not chunks:
        return [Chunk([], finish)]
    chunks[-1].finish = finish
    return chunks


def _limited(ask: Ask, pieces: list[str]) -> tuple[list[str], str]:
    """Cut *pieces* at a stop sequence or at maxOutputTokens, of which thoughts take their part."""
    stops, limit = ask.config.get("stopSequences"), ask.config.get("maxOutputTokens")
    if not stops and not limit:
        return pieces, "STOP"
    text, finish = "".join(pieces), "STOP"
    for stop in stops or ():
        text = text.split(stop, 1)[0]
    if limit:
        left = max(0, limit - (THOUGHT_TOKENS if ask.thinks else 0)) * _CHARACTERS_PER_TOKEN
        if left < len(text):
            text, finish = text[:left], "MAX_TOKENS"
    if text == "".join(pieces):
        return pieces, finish
    return (texts.cut(text) if text else []), finish


def _has_results(ask: Ask) -> bool:
    return bool(responses(ask.last))


def _results(ask: Ask) -> list[Chunk]:
    """Tell the results of functions, and the sources that were found beside them."""
    pieces = texts.cut(calls.results(ask))
    return tools.sourced(ask, pieces) if sources.asked(ask) else _text(ask, pieces)


def _sourced(ask: Ask) -> bool:
    return bool(sources.asked(ask)) or sources.recites(ask)


def _enum(ask: Ask) -> bool:
    return bool(ask.config.get("responseMimeType") == "text/x.enum")


def _kind(kind: str) -> Callable[[Ask], bool]:
    return lambda ask: ask.model.kind == kind


_RULES: tuple[tuple[Callable[[Ask], bool], Callable[[Ask], list[Chunk]]], ...] = (
    (_kind("tts"), media.speech),
    (lambda ask: ask.question == "say nothing", lambda _: [Chunk([], "STOP")]),
    (lambda ask: calls.wants_call(ask) and not texts.directed(ask), calls.call),
    (lambda ask: wants_json(ask.request), lambda ask: _text(ask, texts.cut(texts.json_text(ask)))),
    (_has_results, _results),
    (_kind("image"), media.picture),
    (_enum, lambda ask: _text(ask, [texts.enum_text(ask)])),
    (texts.directed, lambda ask: _text(ask, texts.pieces(ask))),
    (lambda ask: ask.uses("computerUse"), tools.action),
    (_sourced, tools.sourced),
    (lambda ask: ask.uses("codeExecution"), tools.code),
)
