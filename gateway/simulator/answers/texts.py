"""Plain texts: echo, stories, what the model is, which media it sees."""

import re
from collections.abc import Callable

import orjson

from gateway.simulator.answers.ask import Ask
from gateway.simulator.answers.fill import Filler
from gateway.simulator.refusal import Json

_ECHO = re.compile(r"\s*echo[:\s]+(.*)", re.DOTALL | re.IGNORECASE)
_STORY = re.compile(r"story of (\d+) chunks(?: of (\d+) bytes)?", re.IGNORECASE)
_WHO = re.compile(r"你是什么模型|你是谁")
# A piece of text as a model streams it: three words, or some Chinese signs.
_PIECE = re.compile(r"(?:\s*[^\s\u3000-\u9fff]+){1,3}\s*|[\u3000-\u9fff]{1,4}|\s+")


def pieces(ask: Ask) -> list[str]:
    """Give the answer as the texts of single chunks."""
    for pattern, tell in _TABLE:
        if found := pattern.search(ask.question):
            return tell(found, ask)
    return cut(_seen(ask) or f"{ask.model.name} (simulated) was asked: {ask.question}")


def directed(ask: Ask) -> bool:
    """Tell whether the question itself says what the answer shall be."""
    return bool(_ECHO.match(ask.question) or _STORY.search(ask.question))


def cut(text: str) -> list[str]:
    """Cut *text* into pieces of some words."""
    return _PIECE.findall(text) or [text]


def json_text(ask: Ask) -> str:
    """Give JSON that fits the schema asked for, or an object that repeats the question."""
    config = ask.config
    text_format = (config.get("responseFormat") or {}).get("text") or {}
    schema = (
        config.get("responseJsonSchema")
        or config.get("_responseJsonSchema")
        or config.get("responseSchema")
        or text_format.get("schema")
    )
    value = Filler(schema).fill() if schema else {"answer": ask.question}
    return orjson.dumps(value).decode()


def enum_text(ask: Ask) -> str:
    """Give the first word of the enum asked for, bare."""
    schema = ask.config.get("responseJsonSchema") or ask.config.get("responseSchema") or {}
    return str(Filler(schema).fill())


def _echo(found: re.Match[str], _ask: Ask) -> list[str]:
    return cut(found[1])


def _story(found: re.Match[str], _ask: Ask) -> list[str]:
    texts = [f"Chunk {at} of the story. " for at in range(1, int(found[1]) + 1)]
    size = int(found[2] or 0)
    return [text.ljust(size, ".")[:size] for text in texts] if size else texts


def _who(_found: re.Match[str], ask: Ask) -> list[str]:
    return cut(f"我是 {ask.model.name}，这是模拟的回答。")


def _seen(ask: Ask) -> str:
    kinds = [
        _described(part) for part in ask.last["parts"] if part.keys() & {"inlineData", "fileData"}
    ]
    return f"I see {' and '.join(kinds)}." if kinds else ""


def _described(part: Json) -> str:
    if "fileData" in part:
        return f"the file {part['fileData']['fileUri']}"
    mime, data = part["inlineData"]["mimeType"], part["inlineData"]["data"].rstrip("=")
    article = "an" if mime[0] in "aeiou" else "a"
    return f"{article} {mime} of {len(data) * 3 // 4} bytes"


_TABLE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Ask], list[str]]], ...] = (
    (re.compile(rf"\A{_ECHO.pattern}", _ECHO.flags), _echo),
    (_STORY, _story),
    (_WHO, _who),
)
