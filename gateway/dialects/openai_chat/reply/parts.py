"""One part of Gemini's answer as deltas; one function per kind of part."""

from collections.abc import Callable

import orjson

from gateway.dialects.openai_chat.reply.audio import audio
from gateway.dialects.openai_chat.reply.calls import function_call
from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.dialects.openai_chat.reply.code import executable_code, execution_result
from gateway.dialects.openai_chat.reply.images import image
from gateway.exchange import Json
from gateway.wire.endings import is_empty

Translator = Callable[[Choice, Json], list[Json]]


def translate(choice: Choice, part: Json) -> list[Json]:
    """Return the deltas of *part*; an unknown kind is passed on as it came."""
    for key, value in part.items():
        translator = _TRANSLATORS.get(key)
        if translator is not None and value is not None:
            return translator(choice, part)
    if is_empty(part):
        # Gemini would refuse it in the next request; with an empty text it may bear a signature.
        return _text(choice, {**part, "text": ""})
    return _native(choice, part)


def _text(choice: Choice, part: Json) -> list[Json]:
    text = part["text"]
    if not isinstance(text, str):
        raise TypeError("a text is a string")
    if part.get("thought"):
        return [{"reasoning_content": text}] if choice.options.include_thoughts and text else []
    if "thoughtSignature" in part:
        # Kept with its own text: a signature must be returned on the part it came with.
        choice.add_part(part)
        choice.pieces.append((text, True))
    else:
        choice.run += text.encode()
    return [{"content": text}] if text else []


def _native(choice: Choice, part: Json) -> list[Json]:
    # What is nested too deeply to be sent is refused here, not when it is written.
    orjson.dumps(part)
    choice.add_part(part)
    return choice.native(part)


def _inline_data(choice: Choice, part: Json) -> list[Json]:
    mime = part["inlineData"]["mimeType"]
    if mime.startswith("image/"):
        return image(choice, part)
    return audio(choice, part) if mime.startswith("audio/") else _native(choice, part)


def _file_data(choice: Choice, part: Json) -> list[Json]:
    file = part["fileData"]
    if (file.get("mimeType") or "").startswith("image/"):
        return image(choice, part)
    return _native(choice, part)


_TRANSLATORS: dict[str, Translator] = {
    "text": _text,
    "functionCall": function_call,
    "executableCode": executable_code,
    "codeExecutionResult": execution_result,
    "inlineData": _inline_data,
    "fileData": _file_data,
}
