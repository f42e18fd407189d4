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
_PLACE = re.compile(r"\b(?:in|for|of|and) ([A-Z]\w+)")
# As agents of OpenAI, Google, LangGraph and AutoGen name them; one who always called them would go
# round in circles.
_HANDS_OVER = "transfer_to_"
_MESSAGE = "Model generated function call(s)."


def wants_call(request: Request) -> bool:
    """Tell whether the answer must be a function call."""
    mode, _ = choice(request.body)
    if mode == "NONE" or not declarations(request.body):
        return False
    return mode == "ANY" or not _has_called(request)


def call(request: Request) -> list[Chunk]:
    """Return the calls: one, or several when the question says "parallel"."""
    parts: list[Json] = []
    for at, declaration in enumerate(_chosen(request)):
        function_call: Json = {
            "name": declaration["name"],
            "args": _arguments(declaration, request.question, at),
        }
        if request.model.ids:
            function_call = {"id": call_id(request, at), **function_call}
        parts.append({"functionCall": function_call})
    parts[0].update(request.signature())
    # 2.5 models finish in the chunk of the call, later ones in a chunk of its own.
    if request.model.version < (3, 0):
        return [Chunk(parts, "STOP", {"finishMessage": _MESSAGE})]
    return [Chunk(parts), Chunk([{"text": ""}], "STOP")]


def results(request: Request) -> str:
    """Return a text that repeats what the functions returned."""
    sentences = [
        f"{response['name']} answered {orjson.dumps(response.get('response')).decode()}."
        for response in latest_results(request)
    ]
    return " ".join(sentences)


def latest_results(request: Request) -> list[Json]:
    """Return what the functions of the last round answered, if nothing was said since."""
    found: list[Json] = []
    for content in reversed(request.turn):
        if content.get("role") == "model":
            break
        found = [*responses(content), *found]
    return found


def _called(request: Request) -> list[str]:
    """Return the names of the functions called since the question."""
    return [call["name"] for content in request.turn for call in calls(content)]


def _has_called(request: Request) -> bool:
    """Tell whether all steps were made; some clients put several into one content."""
    wanted = _STEPS.search(request.question)
    steps = int(wanted[1]) if wanted else 1
    return len(_called(request)) >= steps * len(_round(request))


def _chosen(request: Request) -> list[Json]:
    """Return the functions to call.

    Who forces calls without end waits for the one that gives the answer: they take turns then.
    """
    if not _has_called(request):
        return _round(request)
    called = _called(request)
    return [min(_callable(request), key=lambda declaration: called.count(declaration["name"]))]


def _callable(request: Request) -> list[Json]:
    """Return the functions to choose from; those that hand over to another agent only if named."""
    mode, allowed = choice(request.body)
    return [
        declaration
        for declaration in declarations(request.body)
        if (not allowed or declaration["name"] in allowed)
        and (
            mode == "ANY"
            or not declaration["name"].startswith(_HANDS_OVER)
            or declaration["name"] in request.question
        )
    ]


def _round(request: Request) -> list[Json]:
    """Return the functions that each step calls."""
    declared = _callable(request)
    if "parallel" in request.question.lower():
        return declared if len(declared) > 1 else declared * 2
    named = [declaration for declaration in declared if declaration["name"] in request.question]
    return (named or declared)[:1]


def _arguments(declaration: Json, question: str, at: int) -> Json:
    """Return arguments for the call at *at*; each takes the next place that the question names."""
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
    places = _PLACE.findall(question) or ["Paris"]
    words = dict.fromkeys(("city", "location", "place"), places[at % len(places)])
    filled = Filler(schema, words).fill() if schema else {}
    return filled if isinstance(filled, dict) else {}


def call_id(request: Request, at: int) -> str:
    """Return the id of the call at position *at* in the answer."""
    seed = f"{len(request.body['contents'])} {at} {request.question}"
    return hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:8]
