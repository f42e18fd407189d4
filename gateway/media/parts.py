"""Find the media parts of a chat payload: what OpenAI's clients and their cousins send.

{"type": "image_url", "image_url": {"url": ...} | "..."}      image, sound, video, PDF
{"type": "input_image", "image_url": "..."}                   the same
{"type": "input_audio", "input_audio": {"data", "format"}}    sound
{"type": "audio_url", "audio_url": {"url": ...}}              sound
{"type": "video_url", "video_url": {"url": ...}}              video
{"type": "input_video", "input_video": {"data" | "url", "format"}}
{"type": "file", "file": {"file_data" | "file_id" | "file_url", "filename", "format"}}
{"type": "input_file", ...}                                   the same, fields in the part
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.errors import BadRequest, GatewayError, InvalidMedia
from gateway.exchange import Json
from gateway.media.formats import Claim

# Sound recorded by browsers comes in video containers: no part may refuse one for the other.
_IMAGE = ("image", "audio", "video", "document")
_AUDIO = ("audio", "video")
_VIDEO = ("video", "audio")
_FILE = ("document", "text", "image", "audio", "video")

# Type of the part: the field that holds the media, and the kinds it may hold.
_FIELDS = {
    "image_url": ("image_url", _IMAGE),
    "input_image": ("image_url", _IMAGE),
    "input_audio": ("input_audio", _AUDIO),
    "audio_url": ("audio_url", _AUDIO),
    "video_url": ("video_url", _VIDEO),
    "input_video": ("input_video", _VIDEO),
    "file": ("file", _FILE),
    "input_file": ("input_file", _FILE),
}
# A type with its parameters is shorter; of a longer text the rest is not read.
_MAX_DECLARED = 256
# The fields of a source; the first one given is read.
SOURCES = ("url", "data", "file_data", "file_url", "file_id")
# The fields that say what the source holds.
ABOUT_SOURCE = ("filename", "format", "mime_type")


@dataclass(frozen=True, slots=True)
class MediaPart:
    """One media part: its position, its claim, and where its source is found.

    *at* is (message index, part index). The source, an address or base64, is *holder[key]*.
    """

    at: tuple[int, int]
    claim: Claim
    holder: Json
    key: str

    @property
    def source(self) -> str:
        """Return the address, data URL or base64 as the client sent it."""
        source: str = self.holder[self.key]
        return source


def find(payload: Json) -> list[MediaPart]:
    """Return all media parts of *payload* in order.

    Raises `BadRequest` naming the part that has no usable source.
    """
    messages = payload.get("messages")
    if not isinstance(messages, list):
        return []
    parts = []
    for index, message in enumerate(messages):
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            parts += [
                _media_part(part, (index, at))
                for at, part in enumerate(content)
                if isinstance(part, dict) and _kind(part) in _FIELDS
            ]
    return parts


def holder_field(part: Json) -> str | None:
    """Return the field of *part* whose object holds its source; None if the part itself does."""
    field, _ = _FIELDS.get(part["type"], ("", ()))
    return field if isinstance(part.get(field), dict) else None


@contextmanager
def naming_part(claim: Claim, *, url_fault: bool = False) -> Iterator[None]:
    """Make errors name the part of *claim*; those of a URL get a code of their own."""
    try:
        yield
    except GatewayError as error:
        error.param = error.param or claim.param
        if url_fault and error.code == InvalidMedia.default_code:
            error.code = "invalid_image_url" if "image" in claim.kinds else "invalid_media_url"
        raise


def _media_part(part: Json, at: tuple[int, int]) -> MediaPart:
    field, kinds = _FIELDS[part["type"]]
    param = f"messages[{at[0]}].content[{at[1]}].{field}"
    holder, key = part, field
    if field not in part and part["type"] == "input_file":
        holder, key = part, _source_key(part)
    elif holder_field(part):
        holder = part[field]
        key = _source_key(holder)
    if not isinstance(holder.get(key), str):
        raise BadRequest("This part needs a URL, a data URL or base64 as a string.", param=param)
    declared = next(
        (holder[name] for name in ("format", "mime_type") if isinstance(holder.get(name), str)), ""
    )
    filename = holder.get("filename")
    claim = Claim(
        param, kinds, declared[:_MAX_DECLARED], filename if isinstance(filename, str) else ""
    )
    return MediaPart(at, claim, holder, key)


def _kind(part: Json) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _source_key(holder: Json) -> str:
    return next((key for key in SOURCES if holder.get(key) is not None), "url")
