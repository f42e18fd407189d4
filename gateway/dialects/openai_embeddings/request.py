"""Texts as calls of `:batchEmbedContents`, at most 100 in each.

Google refuses more in one batch ("at most 100 requests can be in one batch").
"""

import re
from typing import Any

from gateway import models
from gateway.calls import snake
from gateway.dialects.openai_chat import native
from gateway.dialects.shapes import MAX_INT32, anything, by_type, fields, integer, of_type, one_of
from gateway.errors import BadRequest
from gateway.exchange import Json, Known, Notes, UpstreamCall

MOST_IN_BATCH = 100
# OpenAI's limit.
MOST_INPUTS = 2_048


def _size(value: Any) -> None:
    integer(value)
    if not 1 <= value <= MAX_INT32:
        raise BadRequest(f"This must be at least 1 and at most {MAX_INT32}.", code="invalid_value")


_name = of_type(str, blank=False)
_FIELDS = {
    "model": _name,
    "input": by_type({str: anything, list: anything}, "a string or an array of strings"),
    "encoding_format": one_of("float", "base64"),
    "dimensions": _size,
    "extra_body": fields({"google": of_type(dict)}),
    "google": of_type(dict),
}
_payload = fields(_FIELDS, required=("model", "input"))
# Gemini's own fields of one text, by the shape of their values.
_OPTIONS: native.Shape = {
    "taskType": frozenset(
        {
            "RETRIEVAL_QUERY",
            "RETRIEVAL_DOCUMENT",
            "SEMANTIC_SIMILARITY",
            "CLASSIFICATION",
            "CLUSTERING",
            "QUESTION_ANSWERING",
            "FACT_VERIFICATION",
            "CODE_RETRIEVAL_QUERY",
        }
    ),
    "title": str,
    "outputDimensionality": int,
}
_TEXT = re.compile(r"requests\[(?P<at>\d{1,4})\]\.(?P<name>\w+)")
_TOKENS = (
    "These are tokens, which Gemini cannot read; send text"
    " (LangChain: check_embedding_ctx_length=False)."
)


def check(payload: Json) -> None:
    """Refuse what is missing or of a wrong type.

    Raises `BadRequest` whose *param* is the path of the fault.
    """
    _payload(payload)
    models.parse(payload["model"])
    texts = payload["input"]
    if isinstance(texts, str):
        _check_text(texts, "input")
        return
    if not texts:
        raise BadRequest("This must not be empty.", param="input", code="empty_array")
    if len(texts) > MOST_INPUTS:
        raise BadRequest(
            f"This has {len(texts)} items; {MOST_INPUTS} are allowed.",
            param="input",
            code="array_too_long",
        )
    if all(type(text) is int for text in texts):
        raise BadRequest(_TOKENS, param="input", code="invalid_type")
    for at, text in enumerate(texts):
        _check_text(text, f"input[{at}]")


def _check_text(text: Any, param: str) -> None:
    if type(text) in (int, list):
        raise BadRequest(_TOKENS, param=param, code="invalid_type")
    if not isinstance(text, str):
        raise BadRequest("Expected a string.", param=param, code="invalid_type")
    if not text:
        raise BadRequest("This must not be empty.", param=param, code="invalid_value")


def inputs(payload: Json) -> list[str]:
    """Return the texts of the checked *payload*."""
    texts = payload["input"]
    return [texts] if isinstance(texts, str) else texts


def call(payload: Json, known: Known, notes: Notes) -> UpstreamCall:
    """Translate the checked *payload*; all that is lost or changed goes into *notes*.

    Raises `BadRequest` naming the field that cannot be carried out.
    """
    model = known.model or models.parse(payload["model"]).base
    options = _options(payload, model, known, notes)
    requests = [
        {"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **options}
        for text in inputs(payload)
    ]
    bodies = [
        {"requests": requests[start : start + MOST_IN_BATCH]}
        for start in range(0, len(requests), MOST_IN_BATCH)
    ]
    for name, value in payload.items():
        if name not in _FIELDS and value is not None:
            notes.drop(name)
    for name in (payload.get("extra_body") or {}).keys() - {"google"}:
        notes.drop(f"extra_body.{name}")
    return UpstreamCall(
        model=model,
        body=bodies[0],
        stream=False,
        action="batchEmbedContents",
        further=tuple(bodies[1:]),
    )


def client_field(payload: Json, field: str) -> str:
    """Return the client's field that became Gemini's *field*."""
    match = _TEXT.match(field)
    if match is None:
        return field
    name = native.camel(match["name"])
    if name == "content":
        # Within the first hundred: Gemini does not say which batch failed.
        several = isinstance(payload["input"], list) and len(payload["input"]) <= MOST_IN_BATCH
        return f"input[{match['at']}]" if several else "input"
    if name == "outputDimensionality" and payload.get("dimensions") is not None:
        return "dimensions"
    return f"google.{snake(name)}" if name in _OPTIONS else field


def _options(payload: Json, model: str, known: Known, notes: Notes) -> Json:
    google = native.google(payload)
    for name in native.overridden(payload, google):
        notes.drop(name)
    options: Json = native.fit(google, _OPTIONS, "google", notes)
    size = payload.get("dimensions")
    if size is not None:
        if options.get("outputDimensionality", size) != size:
            notes.drop("dimensions")
        options.setdefault("outputDimensionality", int(size))
    if "taskType" in options and "task_type" in models.capabilities(model).refuses | known.refusals:
        del options["taskType"]
        notes.adjust("google.task_type", "dropped", "model")
    return options
