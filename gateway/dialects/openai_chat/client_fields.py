"""The client's field for a field of Gemini's that an error names.

Looked for only after a refusal, and by value: any of several equal texts may be at fault.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.calls import snake
from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.names import wire_name
from gateway.dialects.openai_chat.request import content, results
from gateway.dialects.openai_chat.request.overlay import OVERRULED
from gateway.exchange import Blob, Json, UpstreamCall

_STEP = re.compile(r"(\w+)|\[(\d{1,9})\]")
_TOP = {
    "safetySettings": "google.safety_settings",
    "cachedContent": "google.cached_content",
    "continuationToken": "google.continuation_token",
    "store": "google.store",
}
# The client's fields for Gemini's settings: those of `OVERRULED`, and others.
_SETTINGS: Mapping[str, tuple[str, ...]] = {
    **OVERRULED,
    "thinkingConfig": ("thinking", "reasoning_effort", "reasoning"),
    "imageConfig": ("image_config",),
    "speechConfig": ("audio",),
    "responseModalities": ("modalities",),
    "serviceTier": ("service_tier",),
    "functionCallingConfig": ("tool_choice", "function_call"),
}
_KINDS = ("parameters", "parametersJsonSchema", "name", "description")

Media = Mapping[tuple[int, int], Blob]


def client_field(payload: Json, media: Media, call: UpstreamCall, field: str) -> str:
    """Return the path within *payload* for Gemini's *field* of *call*, or *field* if unknown."""
    steps = [int(index) if index else native.camel(name) for name, index in _STEP.findall(field)]
    try:
        return _path_of(payload, media, call, steps) or field
    except (AttributeError, IndexError, KeyError, TypeError):
        # Google names a field that is not there, or the payload is gone as a stream had begun.
        return field


def _path_of(payload: Json, media: Media, call: UpstreamCall, steps: list[Any]) -> str | None:
    path: str | None = None
    match steps:
        case ["contents", int(turn), "parts", int(at), *rest]:
            part = call.body["contents"][turn]["parts"][at]
            path = next(_message_paths(payload, media, part, rest), None)
        case ["systemInstruction", "parts", int(at), *rest]:
            part = call.body["systemInstruction"]["parts"][at]
            path = next(_message_paths(payload, media, part, rest), None)
        case ["generationConfig", str(name), *_]:
            path = _setting_path(payload, name)
        case ["tools", int(tool), "functionDeclarations", int(at), *rest]:
            declared = call.body["tools"][tool]["functionDeclarations"][at]["name"]
            path = _function_path(payload, declared, rest)
        case ["toolConfig", "retrievalConfig", *_]:
            path = "google.retrieval_config"
        case ["toolConfig", "functionCallingConfig", *_]:
            path = _setting_path(payload, "functionCallingConfig")
            path = path or "google.function_calling_config"
        case ["serviceTier"]:
            path = _setting_path(payload, "serviceTier")
        case [str(name), *_]:
            path = _TOP.get(name)
    return path


def _message_paths(payload: Json, media: Media, part: Json, rest: list[Any]) -> Iterator[str]:
    """Yield the paths of what became *part*; *rest* are the steps that Gemini names within it."""
    blob = part.get("inlineData") or part.get("fileData")
    if blob is not None:
        source = blob.get("data"), blob.get("fileUri")
        beside = ".video_metadata" if rest[:1] == ["videoMetadata"] else ""
        for (index, at), medium in media.items():
            if source == (medium.data, medium.uri):
                yield f"messages[{index}].content[{at}]{beside}"
    for index, message in enumerate(payload["messages"]):
        path = f"messages[{index}]"
        if "functionCall" in part:
            yield from _call_paths(message, part["functionCall"], path)
        elif "functionResponse" in part:
            if _is_result(message, part["functionResponse"]):
                yield f"{path}.content"
        elif "text" in part:
            yield from _text_paths(message.get("content"), part["text"], f"{path}.content")


def _call_paths(message: Json, call: Json, path: str) -> Iterator[str]:
    """Yield the paths of what became *call* in *message*, which is at *path*."""
    for at, tool_call in enumerate(message.get("tool_calls") or ()):
        function = tool_call.get("function") or tool_call["custom"]
        if wire_name(function["name"]) == call["name"]:
            arguments = results.parse_object(function.get("arguments") or "")
            if arguments is None or arguments == call["args"]:
                yield f"{path}.tool_calls[{at}]"


def _is_result(message: Json, response: Json) -> bool:
    """Tell whether *message* is the result that became *response*."""
    if message["role"] not in ("tool", "function"):
        return False
    text = "\n".join(content.texts(message.get("content")))
    expected: Json = response["response"]
    return results.response(text) == expected


def _text_paths(body: Any, text: str, path: str) -> Iterator[str]:
    """Yield the paths of *text* in the content *body*, which is at *path*."""
    if body == text:
        yield path
    for at, part in enumerate(body if isinstance(body, list) else ()):
        if text in (part.get("text"), part.get("refusal")):
            yield f"{path}[{at}]"


def _setting_path(payload: Json, name: str) -> str | None:
    """Return the client's field for Gemini's setting *name*."""
    if native.google(payload).get(name) is not None:
        return f"google.{snake(name)}"
    fields = _SETTINGS.get(name, ())
    return next((field for field in fields if payload.get(field) is not None), None)


def _function_path(payload: Json, declared: str, rest: list[Any]) -> str | None:
    """Return the path of the function that was sent under the name *declared*."""
    within = ""
    if rest and rest[0] in _KINDS:
        within = f".{str(rest[0]).removesuffix('JsonSchema')}"
    for at, tool in enumerate(payload.get("tools") or ()):
        for kind in ("function", "custom"):
            if kind in tool and wire_name(tool[kind]["name"]) == declared:
                return f"tools[{at}].{kind}{within}"
    for at, function in enumerate(payload.get("functions") or ()):
        if wire_name(function["name"]) == declared:
            return f"functions[{at}]{within}"
    return None
