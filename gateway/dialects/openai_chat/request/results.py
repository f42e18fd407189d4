"""The results of function calls as Gemini's function responses."""

import orjson

from gateway.dialects.openai_chat.request import content
from gateway.dialects.openai_chat.translation import Translation
from gateway.dialects.shapes import is_shallow
from gateway.exchange import Json

# Other types are refused within a result; in a turn of their own they are read.
_WITHIN = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf"})


def parse_object(text: str) -> Json | None:
    """Parse *text* as a JSON object; None if it is none, or nested too deeply."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and is_shallow(value) else None


def response(text: str) -> Json:
    """Return the `response` object for *text*, the output of a function.

    A JSON object stays as it is; all else goes under "output", and so does an object with a `$ref`,
    which Gemini would take for a reference to a file.
    """
    if text.lstrip()[:1] == "{":
        value = parse_object(text)
        if value is not None and not _refers(text, value):
            return value
    return {"output": text}


def _refers(text: str, value: Json) -> bool:
    """Tell whether *value*, parsed from *text*, has a `$ref` at any depth."""
    if "$ref" not in text and "\\u" not in text:
        return False
    # Encoded again, it contains no escaped letters, and quotes within strings are escaped.
    return b'"$ref":' in orjson.dumps(value)


def function_response(
    translation: Translation, call: Json, message: Json | None, index: int
) -> tuple[Json, list[Json]]:
    """Return the response part for *call*, and the media that must follow in a turn of their own.

    *message* is the result at *index*; None if the client sent no result.
    """
    native = call["functionCall"]
    native_response: Json = {"name": native["name"], "response": {"error": "no result"}}
    if "id" in native:
        native_response = {"id": native["id"], **native_response}
    if message is None:
        return {"functionResponse": native_response}, []
    body = message.get("content")
    media: list[Json] = []
    if content.has_media(body):
        media = [part for part in content.parts(translation, body, index) if "text" not in part]
    text = "\n".join(content.texts(body))
    native_response["response"] = response(text) if text or not media else {}
    if media and translation.can.result_media:
        inline = [part for part in media if _goes_within(part)]
        if inline:
            native_response["parts"] = inline
        media = [part for part in media if not _goes_within(part)]
    return {"functionResponse": native_response}, media


def _goes_within(part: Json) -> bool:
    """Tell whether a result may hold *part*: plain bytes of a few types."""
    return part.keys() == {"inlineData"} and part["inlineData"]["mimeType"] in _WITHIN


def as_text(translation: Translation, message: Json, index: int) -> list[Json]:
    """Return a result that belongs to no call as parts of an ordinary turn of the user."""
    name = message.get("name") or message.get("tool_call_id") or "a tool"
    parts = content.parts(translation, message.get("content"), index)
    return [{"text": f"Result of {name}:"}, *parts]
