"""Thought signatures, made so that later requests with invented ones can be recognised.

A signature names the kind of model that made it, so one from another model is not valid.
"""

import base64
import hashlib
from functools import cache

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal
from gateway.simulator.strict.turns import calls

_BYPASS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
# Clients that treat signatures as bytes send them in base64.
BYPASS = frozenset({*_BYPASS, *(base64.b64encode(value.encode()).decode() for value in _BYPASS)})
# The beginning of a real one, which LangChain for Node puts where the model gave none.
_STAND_IN = "ErYCCrMCAdHtim9k"
_SIZE = 48
_STANDARD = str.maketrans("-_", "+/")


@cache
def sign(model: Model, size: int = _SIZE) -> str:
    """Return a thought signature of *model* of *size* bytes before base64."""
    seal = hashlib.sha256(f"{model.version}{model.kind}".encode()).digest()
    return base64.b64encode(seal + bytes(size - len(seal))).decode()


def check(request: Json, model: Model) -> None:
    """Refuse signatures that *model* did not make, and missing ones where they are required."""
    contents = request["contents"]
    for content in contents:
        for part in content["parts"]:
            _check_valid(part.get("thoughtSignature"), model)
    if model.kind == "image" and model.signs:
        _check_images(contents)
    if model.kind == "chat" and model.signs:
        _check_calls(contents)


def _check_valid(signature: str | None, model: Model) -> None:
    if not signature or signature in BYPASS or signature.startswith(_STAND_IN):
        return
    # Only the seal is compared: signatures may be megabytes long, and in either base64 alphabet.
    if signature[:40].translate(_STANDARD) != sign(model)[:40]:
        raise Refusal("Thought signature is not valid.")


def _check_images(contents: list[Json]) -> None:
    for at, content in enumerate(contents, 1):
        if content.get("role") != "model":
            continue
        for position, part in enumerate(content["parts"], 1):
            if "inlineData" in part and not part.get("thoughtSignature"):
                raise Refusal(
                    "Image part is missing a thought_signature in content position"
                    f" {at}, part position {position}."
                )


def _check_calls(contents: list[Json]) -> None:
    for at in range(_turn_start(contents), len(contents)):
        for part in contents[at]["parts"]:
            if "functionCall" in part:
                if not part.get("thoughtSignature"):
                    raise _missing(calls(contents[at])[0]["name"], at + 1)
                break


def _turn_start(contents: list[Json]) -> int:
    """Return the index of the last user content that is no function response."""
    for at in range(len(contents) - 1, -1, -1):
        parts = contents[at]["parts"]
        if contents[at].get("role") != "model" and any("functionResponse" not in p for p in parts):
            return at
    return 0


def _missing(name: str, position: int) -> Refusal:
    return Refusal(
        "Function call is missing a thought_signature in functionCall parts. This is required for"
        f" tools to work correctly. Additional data, function call `default_api:{name}`, position"
        f" {position}."
    )
