"""The content of a message as Gemini's parts."""

from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.embedded import inline
from gateway.dialects.openai_chat.translation import Translation
from gateway.errors import InvalidMedia
from gateway.exchange import Json
from gateway.media.parts import holder_field

_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_LEVELS = {
    "low": "MEDIA_RESOLUTION_LOW",
    "medium": "MEDIA_RESOLUTION_MEDIUM",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
    "ultra_high": "MEDIA_RESOLUTION_ULTRA_HIGH",
}


def texts(content: Any) -> list[str]:
    """Return the texts of *content* that are not empty."""
    if isinstance(content, str):
        return [content] if content else []
    values = (part.get(_TEXTS.get(part["type"], "")) for part in content or ())
    return [text for text in values if text]


def parts(translation: Translation, content: Any, index: int) -> list[Json]:
    """Return the parts of *content* of the message at *index*; empty texts are left out."""
    if isinstance(content, str):
        return [{"text": content}] if content else []
    native_parts = []
    for at, part in enumerate(content or ()):
        field = _TEXTS.get(part["type"])
        if field is not None:
            if part[field]:
                native_parts.append({"text": part[field]})
        elif part["type"] not in _THOUGHTS:
            native_parts.append(_media(translation, part, (index, at)))
    return native_parts


def has_media(content: Any) -> bool:
    """Tell whether *content* holds anything but texts."""
    return isinstance(content, list) and any(
        part["type"] not in _TEXTS and part["type"] not in _THOUGHTS for part in content
    )


def _media(translation: Translation, part: Json, at: tuple[int, int]) -> Json:
    path = f"messages[{at[0]}].content[{at[1]}]"
    blob = translation.known.media.get(at)
    if blob is None:
        raise InvalidMedia("This part has no media that can be read.", param=path)
    native_part = inline(blob)
    field = holder_field(part)
    beside = part[field] if field else part
    metadata = part.get("video_metadata") or beside.get("video_metadata")
    if metadata is not None:
        native_part["videoMetadata"] = native.fit(
            metadata, native.VIDEO_METADATA, f"{path}.video_metadata", translation.notes
        )
    processing = part.get("media_processing")
    if processing is not None:
        native_part["mediaProcessing"] = native.fit(
            processing, native.MEDIA_PROCESSING, f"{path}.media_processing", translation.notes
        )
    detail = part.get("media_resolution") or part.get("detail") or beside.get("detail") or "auto"
    level = _level(translation, detail, f"{path}.detail")
    if not translation.can.part_resolution:
        translation.details.append((f"{path}.detail", level))
    elif level is not None:
        native_part["mediaResolution"] = {"level": level}
    return native_part


def _level(translation: Translation, detail: object, path: str) -> str | None:
    """Return the resolution that *detail*, at *path*, requests; None for the model's own choice."""
    word = detail.lower().removeprefix("media_resolution_") if isinstance(detail, str) else ""
    level = _LEVELS.get(word)
    if level is None and word not in ("auto", "unspecified"):
        translation.notes.drop(path)
    return level
