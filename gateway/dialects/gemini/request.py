"""A native payload as the upstream call: nothing is added, changed or left out."""

from typing import Any

from gateway import models
from gateway.calls import snake
from gateway.dialects.shapes import MAX_INT32, Check, anything, fields, integer, items, of_type
from gateway.errors import BadRequest
from gateway.exchange import Json, Known, UpstreamCall

# Fields of the address, which the payload middleware merges into the payload.
_ADDRESS = ("model", "action")
# The request whose tokens are to be counted, in both spellings.
_COUNTED = ("generateContentRequest", "generate_content_request")


def _count(value: Any) -> None:
    integer(value)
    if not 0 <= value <= MAX_INT32:
        raise BadRequest(
            f"This is out of range: expected an integer from 0 to {MAX_INT32}.",
            code="invalid_value",
        )


def _both_spellings(known: dict[str, Check]) -> dict[str, Check]:
    """Return the fields *known* in both spellings that Google's JSON accepts."""
    return known | {snake(name): check for name, check in known.items()}


# Only the settings that the limits and the relay read: the rest is for Gemini to judge.
_config = _both_spellings(
    {"maxOutputTokens": _count, "candidateCount": _count, "responseModalities": items(of_type(str))}
)
_payload = fields(
    {
        "model": of_type(str, blank=False),
        "action": anything,
        **_both_spellings({"generationConfig": fields(_config)}),
        "requests": items(of_type(dict)),
    },
    required=_ADDRESS,
)


def check(payload: Json) -> None:
    """Refuse what the gateway could not work with.

    Raises `BadRequest` whose *param* is the path of the fault.
    """
    _payload(payload)
    models.parse(payload["model"])


def call(payload: Json, known: Known) -> UpstreamCall:
    """Return the checked *payload* as a call; null means unset, as in all of Google's JSON.

    Suffixes of names mean nothing here, as thinking is set in the body: names are sent as they are.
    """
    requested = payload["model"]
    is_plain = models.base_name(requested) == requested
    model = known.model if is_plain and known.model else requested
    body = {
        name: value for name, value in payload.items() if name not in _ADDRESS and value is not None
    }
    if model != requested:
        if "requests" in body:
            body["requests"] = [_renamed(text, requested, model) for text in body["requests"]]
        for name in _COUNTED:
            if isinstance(body.get(name), dict):
                body[name] = _renamed(body[name], requested, model)
    stream = payload["action"] == "streamGenerateContent"
    return UpstreamCall(
        model=model,
        body=body,
        stream=stream,
        action="generateContent" if stream else payload["action"],
        verbatim=True,
    )


def _renamed(inner: Json, requested: str, model: str) -> Json:
    """Return the *inner* request with *model* in place of the alias that was *requested*."""
    if inner.get("model") not in (requested, f"models/{requested}"):
        return inner
    return {**inner, "model": f"models/{model}"}
