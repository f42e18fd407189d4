"""Roles, parts and the order of turns: what Google requires of `contents`."""

from itertools import pairwise

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal, bad_request
from gateway.simulator.strict.shape import snake

_META = frozenset(
    {"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "mediaProcessing"}
    | {"partMetadata", "audioTranscription"}
)
_ROLES = frozenset({"user", "model"})


def check(request: Json, model: Model) -> None:
    """Refuse contents whose roles, parts or sequence the real API would refuse."""
    contents = request.get("contents") or []
    if not contents:
        raise _violation("contents", "contents is not specified")
    for at, content in enumerate(contents):
        _check_role(content, model)
        # Google's SDKs send each event of a stream back as a turn of its own, even empty ones.
        goes_on = at > 0 and content.get("role") == contents[at - 1].get("role") == "model"
        _check_parts(content, f"contents[{at}]", goes_on=goes_on)
    if system := request.get("systemInstruction"):
        _check_system(system, model)
    _check_sequence(contents, model)


def calls(content: Json) -> list[Json]:
    """Return the function calls of *content*."""
    return [part["functionCall"] for part in content.get("parts", ()) if "functionCall" in part]


def responses(content: Json) -> list[Json]:
    """Return the function responses of *content*."""
    parts = content.get("parts", ())
    return [part["functionResponse"] for part in parts if "functionResponse" in part]


def _violation(path: str, text: str) -> Refusal:
    field = ".".join(snake(name) for name in path.split("."))
    return bad_request((field, f"* GenerateContentRequest.{field}: {text}\n"))


def _check_role(content: Json, model: Model) -> None:
    role = content.get("role") or "user"
    if role == "function":
        if model.version >= (3, 6):
            raise Refusal("Role 'function' is not supported. Please use a valid role: user, model.")
    elif role not in _ROLES:
        raise Refusal("Please use a valid role: user, model.")


def _check_parts(content: Json, path: str, *, goes_on: bool = False) -> None:
    if not content.get("parts"):
        raise _violation(f"{path}.parts", "contents.parts must not be empty.")
    has_content = goes_on or any(
        part.get("text") != "" or "thoughtSignature" in part for part in content["parts"]
    )
    for at, part in enumerate(content["parts"]):
        place = f"{path}.parts[{at}]"
        # An empty text is accepted next to content, or as the carrier of a signature.
        if not (has_content and part.keys() - _META):
            raise _violation(
                f"{place}.data", "required oneof field 'data' must have one initialized field"
            )
        for name in ("functionCall", "functionResponse"):
            if name in part and not part[name].get("name"):
                raise _violation(f"{place}.{name}.name", "Name cannot be empty.")
        if _has_reference(part.get("functionResponse", {}).get("response")):
            raise Refusal(
                "The referenced name in function_response.response does not match to a"
                " display_name in the function response parts."
            )


def _has_reference(value: object) -> bool:
    if isinstance(value, dict):
        return "$ref" in value or any(map(_has_reference, value.values()))
    return isinstance(value, list) and any(map(_has_reference, value))


def _check_system(system: Json, model: Model) -> None:
    if "system" in model.refuses:
        raise Refusal(f"Developer instruction is not enabled for models/{model.name}")
    _check_parts(system, "systemInstruction")
    if any("text" not in part for part in system["parts"]):
        raise Refusal("System instruction supports only text parts.")


def merged(contents: list[Json]) -> list[Json]:
    """Return *contents* with neighbours of one role joined, as the API reads them."""
    result: list[Json] = []
    for content in contents:
        role = "model" if content.get("role") == "model" else "user"
        if result and result[-1]["role"] == role:
            result[-1] = {"role": role, "parts": result[-1]["parts"] + content["parts"]}
        else:
            result.append({"role": role, "parts": content["parts"]})
    return result


def _check_sequence(contents: list[Json], model: Model) -> None:
    turns = merged(contents)
    if turns[0]["role"] == "model":
        raise Refusal(
            "Please ensure that function call turn comes immediately after a user turn or after a"
            " function response turn."
            if calls(turns[0])
            else "Please ensure that multiturn requests start with a user turn."
        )
    for before, content in pairwise([{"role": "model", "parts": []}, *turns]):
        _check_answers(before, content, model)
    if turns[-1]["role"] == "model":
        raise Refusal(
            "Requests ending with a model turn are not supported."
            if model.version >= (3, 7)
            else "Please ensure that multiturn requests ends with a user role or a function"
            " response."
        )


def _check_answers(before: Json, content: Json, model: Model) -> None:
    called, answered = calls(before), responses(content)
    if content["role"] == "user" and calls(content):
        raise Refusal("Please ensure that function call turn has the role model.")
    if answered and content["role"] == "user" and not called:
        raise Refusal(
            "Please ensure that function response turn comes immediately after a function call"
            " turn."
        )
    if answered and content["role"] == "model":
        raise Refusal("Please ensure that function response turn has the role user.")
    if len(called) != len(answered):
        raise Refusal(
            "Please ensure that the number of function response parts is equal to the number of"
            " function call parts of the function call turn."
        )
    for call, response in zip(called, answered, strict=True):
        _check_pair(call, response, model)


def _check_pair(call: Json, response: Json, model: Model) -> None:
    if call["name"] != response["name"]:
        raise Refusal(
            f"Please ensure that function response {response['name']!r} stands where its function"
            f" call {call['name']!r} stood."
        )
    if response.get("id") and response["id"] != call.get("id"):
        raise Refusal(f"Function response id {response['id']!r} does not match a function call.")
    if model.version >= (3, 7) and call.get("id") and not response.get("id"):
        raise Refusal(f"Function response for {call['name']!r} is missing the id of its call.")
