"""Decides what the answer is: the first matching rule of a table."""

import re
from collections.abc import Callable

from gateway.simulator.answers import calls, media, sources, texts, tools
from gateway.simulator.answers.request import Chunk, Request
from gateway.simulator.answers.usage import THOUGHT_TOKENS

_FINISH = re.compile(r"finish with ([A-Z_]+)")
_CHARACTERS_PER_TOKEN = 4


def plan(request: Request) -> list[Chunk]:
    """Return the chunks of the answer to *request*, thoughts first, the finish reason last."""
    for fits, make in _RULES:
        if fits(request):
            return [*_thoughts(request), *make(request)]
    return [*_thoughts(request), *_text(request, texts.pieces(request))]


def _thoughts(request: Request) -> list[Chunk]:
    if not request.shows_thoughts:
        return []
    thoughts = ("**Reading the question**\n\n", "I consider what was asked.\n")
    return [Chunk([{"text": text, "thought": True}]) for text in thoughts]


def _text(request: Request, pieces: list[str]) -> list[Chunk]:
    pieces, finish = _limited(request, pieces)
    if match := _FINISH.search(request.question):
        finish = match[1]
    chunks = [Chunk([{"text": piece}]) for piece in pieces]
    if finish == "MAX_TOKENS" and not pieces:
        return [Chunk([], finish)]
    if request.model.signs:
        return [*chunks, Chunk([{"text": "", **request.signature()}], finish)]
    if not chunks:
        return [Chunk([], finish)]
    chunks[-1].finish = finish
    return chunks


def _limited(request: Request, pieces: list[str]) -> tuple[list[str], str]:
    """Cut *pieces* at a stop sequence or at maxOutputTokens, of which thoughts use a part."""
    stops, limit = request.config.get("stopSequences"), request.config.get("maxOutputTokens")
    if not stops and not limit:
        return pieces, "STOP"
    text, finish = "".join(pieces), "STOP"
    for stop in stops or ():
        text = text.split(stop, 1)[0]
    if limit:
        room = max(0, limit - (THOUGHT_TOKENS if request.thinks else 0)) * _CHARACTERS_PER_TOKEN
        if room < len(text):
            text, finish = text[:room], "MAX_TOKENS"
    if text == "".join(pieces):
        return pieces, finish
    return (texts.cut(text) if text else []), finish


def _has_results(request: Request) -> bool:
    return bool(calls.latest_results(request))


def _results(request: Request) -> list[Chunk]:
    """Repeat the results of functions, with the sources that were found besides."""
    pieces = texts.cut(calls.results(request))
    return (
        tools.sourced(request, pieces) if sources.source_tools(request) else _text(request, pieces)
    )


def _sourced(request: Request) -> bool:
    return bool(sources.source_tools(request)) or sources.recites(request)


def _enum(request: Request) -> bool:
    return bool(request.config.get("responseMimeType") == "text/x.enum")


def _kind(kind: str) -> Callable[[Request], bool]:
    return lambda request: request.model.kind == kind


_RULES: tuple[tuple[Callable[[Request], bool], Callable[[Request], list[Chunk]]], ...] = (
    (_kind("tts"), media.speech),
    (lambda request: request.question == "say nothing", lambda _: [Chunk([], "STOP")]),
    (lambda request: calls.wants_call(request) and not texts.directed(request), calls.call),
    (
        texts.asks_for_json,
        lambda request: _text(request, texts.cut(texts.json_text(request))),
    ),
    (_has_results, _results),
    (_kind("image"), media.picture),
    (_enum, lambda request: _text(request, [texts.enum_text(request)])),
    (texts.directed, lambda request: _text(request, texts.pieces(request))),
    (lambda request: request.uses("computerUse"), tools.action),
    (_sourced, tools.sourced),
    (lambda request: request.uses("codeExecution"), tools.code),
)
