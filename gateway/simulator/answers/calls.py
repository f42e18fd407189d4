"""Function calls with arguments from the schema, and the text once the results are there."""

import hashlib
import re

import orjson

from gateway.simulator.answers.fill import Filler
from gateway.simulator.answers.request import Chunk, Request
from gateway.simulator.refusal import Json
from gateway.simulator.strict.tools import choice, declarations
from gateway.simulator.strict.turns import calls, responses

_STEPS = re.compile(r"(\d+) steps")
_PLACE = re.compile(r"\b(?:in|for|of) ([A-Z]\w+)")
_MESSAGE = "Model generated function call(s)."


def wants_call(request: Request) -> bool:
    """Tell whether the answer shall be a function call."""
    mode, _ = choice(request.body)
    if mode == "NONE" or not declarations(request.body):
        return False
    if mode == "ANY":
        return True
    wanted = _STEPS.search(request.question)
    return _rounds(request) < int(wanted[1] if wanted else 1)


def call(request: Request) -> list[Chunk]:
    """Give the calls: one, or several when the question says "parallel"."""
    parts: list[Json] = []
    for at, declaration in enumerate(_chosen(request)):
        function_call: Json = {
            "name": declaration["name"],
            "args": _arguments(declaration, request.question),
        }
        if request.model.ids:
            function_call = {"id": call_id(request, at), **function_call}
        parts.append({"functionCall": function_call})
    parts[0].update(request.signature())
    # 2.5 models finish in the chunk of the call, later ones in a chunk of their own.
    if request.model.version < (3, 0):
        return [Chunk(parts, "STOP", {"finishMessage": _MESSAGE})]
    return [Chunk(parts), Chunk([{"text": ""}], "STOP")]


def results(request: Request) -> str:
    """Give a text that repeats what the functions answered."""
    sentences = [
        f"{response['name']} answered {orjson.dumps(response.get('response')).decode()}."
        for response in responses(request.last)
    ]
    return " ".join(sentences)


def _rounds(request: Request) -> int:
    """Give how many rounds of calls the current turn has had."""
    rounds = 0
    for content in reversed(request.body["contents"]):
        rounds += bool(calls(content))
        if content.get("role") != "model" and not responses(content):
            break
    return rounds


def _chosen(request: Request) -> list[Json]:
    _, allowed = choice(request.body)
    declared = [
        declaration
        for declaration in declarations(request.body)
        if not allowed or declaration["name"] in allowed
    ]
    if "parallel" in request.question.lower():
        return declared if len(declared) > 1 else declared * 2
    named = [declaration for declaration in declared if declaration["name"] in request.question]
    return (named or declared)[:1]


def _arguments(declaration: Json, question: str) -> Json:
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
    place = _PLACE.search(question)
    words = dict.fromkeys(("city", "location", "place"), place[1] if place else "Paris")
    filled = Filler(schema, words).fill() if schema else {}
    return filled if isinstance(filled, dict) else {}


def call_id(request: Request, at: int) -> str:
    """Give the id of the call that stands at *at* in the answer."""
    seed = f"{len(request.body['contents'])} {at} {request.question}"
    return hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:8]
