"""Function calls with arguments from the schema, and the text once the results are there."""

import hashlib
import re

import orjson

from gateway.simulator.answers.ask import Ask, Chunk
from gateway.simulator.answers.fill import Filler
from gateway.simulator.refusal import Json
from gateway.simulator.strict.tools import choice, declarations
from gateway.simulator.strict.turns import calls, responses

_STEPS = re.compile(r"(\d+) steps")
_PLACE = re.compile(r"\b(?:in|for|of) ([A-Z]\w+)")
_MESSAGE = "Model generated function call(s)."


def wants_call(ask: Ask) -> bool:
    """Tell whether the answer shall be a function call."""
    mode, _ = choice(ask.request)
    if mode == "NONE" or not declarations(ask.request):
        return False
    if mode == "ANY":
        return True
    wanted = _STEPS.search(ask.question)
    return _rounds(ask) < int(wanted[1] if wanted else 1)


def call(ask: Ask) -> list[Chunk]:
    """Give the calls: one, or several when the question says "parallel"."""
    parts: list[Json] = []
    for at, declaration in enumerate(_chosen(ask)):
        made: Json = {"name": declaration["name"], "args": _arguments(declaration, ask.question)}
        if ask.model.ids:
            made = {"id": call_id(ask, at), **made}
        parts.append({"functionCall": made})
    parts[0].update(ask.signature())
    # 2.5 models finish in the chunk of the call, later ones in a chunk of their own.
    if ask.model.version < (3, 0):
        return [Chunk(parts, "STOP", {"finishMessage": _MESSAGE})]
    return [Chunk(parts), Chunk([{"text": ""}], "STOP")]


def results(ask: Ask) -> str:
    """Give a text that tells what the functions answered."""
    said = [
        f"{held['name']} answered {orjson.dumps(held.get('response')).decode()}."
        for held in responses(ask.last)
    ]
    return " ".join(said)


def _rounds(ask: Ask) -> int:
    """Give how many rounds of calls the current turn has had."""
    rounds = 0
    for content in reversed(ask.request["contents"]):
        rounds += bool(calls(content))
        if content.get("role") != "model" and not responses(content):
            break
    return rounds


def _chosen(ask: Ask) -> list[Json]:
    _, allowed = choice(ask.request)
    declared = [d for d in declarations(ask.request) if not allowed or d["name"] in allowed]
    if "parallel" in ask.question.lower():
        return declared if len(declared) > 1 else declared * 2
    named = [declared_one for declared_one in declared if declared_one["name"] in ask.question]
    return (named or declared)[:1]


def _arguments(declaration: Json, question: str) -> Json:
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
    place = _PLACE.search(question)
    words = dict.fromkeys(("city", "location", "place"), place[1] if place else "Paris")
    filled = Filler(schema, words).fill() if schema else {}
    return filled if isinstance(filled, dict) else {}


def call_id(ask: Ask, at: int) -> str:
    """Give the id of the call that stands at *at* in the answer."""
    seed = f"{len(ask.request['contents'])} {at} {ask.question}"
    return hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:8]
