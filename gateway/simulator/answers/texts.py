"""Plain texts: echo, stories, the name of the model, the media it sees."""

import json
import re
from collections.abc import Callable

import orjson

from gateway.simulator.answers.fill import Filler
from gateway.simulator.answers.request import Request
from gateway.simulator.refusal import Json
from gateway.simulator.strict.output import wants_json

_ECHO = re.compile(r"\s*echo[:\s]+(.*)", re.DOTALL | re.IGNORECASE)
_STORY = re.compile(r"story of (\d+) chunks(?: of (\d+) bytes)?", re.IGNORECASE)
_WHO = re.compile(r"你是什么模型|你是谁")
# As the gateway asks where the settings cannot; a schema may stand behind it.
_JSON_IN_WORDS = re.compile(r"must be one JSON value.*?(?:JSON schema: (\{.*)|$)", re.DOTALL)
# A piece of text as a model streams it: three words, or some Chinese signs.
_PIECE = re.compile(r"(?:\s*[^\s\u3000-\u9fff]+){1,3}\s*|[\u3000-\u9fff]{1,4}|\s+")


def pieces(request: Request) -> list[str]:
    """Return the answer as the texts of single chunks."""
    for pattern, answer in _TABLE:
        if match := pattern.search(request.question):
            return answer(match, request)
    return cut(
        _media_text(request) or f"{request.model.name} (simulated) was asked: {request.question}"
    )


def directed(request: Request) -> bool:
    """Tell whether the question itself dictates the answer."""
    return bool(_ECHO.match(request.question) or _STORY.search(request.question))


def cut(text: str) -> list[str]:
    """Cut *text* into pieces of some words."""
    return _PIECE.findall(text) or [text]


def json_text(request: Request) -> str:
    """Return JSON that matches the requested schema, or an object that repeats the question."""
    config = request.config
    text_format = (config.get("responseFormat") or {}).get("text") or {}
    schema = (
        config.get("responseJsonSchema")
        or config.get("_responseJsonSchema")
        or config.get("responseSchema")
        or text_format.get("schema")
        or _schema_in_words(request)
    )
    value = Filler(schema).fill() if schema else {"answer": request.question}
    return orjson.dumps(value).decode()


def asks_for_json(request: Request) -> bool:
    """Tell whether JSON was asked for, in the settings or in words."""
    return wants_json(request.body) or bool(_JSON_IN_WORDS.search(request.instructions))


def _schema_in_words(request: Request) -> Json | None:
    found = _JSON_IN_WORDS.search(request.instructions)
    if found is None or not found[1]:
        return None
    try:
        schema: Json = json.JSONDecoder().raw_decode(found[1])[0]
    except ValueError:
        return None
    return schema


def enum_text(request: Request) -> str:
    """Return the first value of the requested enum, bare."""
    schema = request.config.get("responseJsonSchema") or request.config.get("responseSchema") or {}
    return str(Filler(schema).fill())


def _echo(match: re.Match[str], _request: Request) -> list[str]:
    return cut(match[1])


def _story(match: re.Match[str], _request: Request) -> list[str]:
    texts = [f"Chunk {at} of the story. " for at in range(1, int(match[1]) + 1)]
    size = int(match[2] or 0)
    return [text.ljust(size, ".")[:size] for text in texts] if size else texts


def _who(_match: re.Match[str], request: Request) -> list[str]:
    return cut(f"我是 {request.model.name}，这是模拟的回答。")


def _media_text(request: Request) -> str:
    kinds = [
        _described(part)
        for part in request.last["parts"]
        if part.keys() & {"inlineData", "fileData"}
    ]
    return f"I see {' and '.join(kinds)}." if kinds else ""


def _described(part: Json) -> str:
    if "fileData" in part:
        return f"the file {part['fileData']['fileUri']}"
    mime, data = part["inlineData"]["mimeType"], part["inlineData"]["data"].rstrip("=")
    article = "an" if mime[0] in "aeiou" else "a"
    return f"{article} {mime} of {len(data) * 3 // 4} bytes"


_TABLE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Request], list[str]]], ...] = (
    (re.compile(rf"\A{_ECHO.pattern}", _ECHO.flags), _echo),
    (_STORY, _story),
    (_WHO, _who),
)
