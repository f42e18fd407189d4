"""Media parts: the mime types that Gemini accepts, and where they may occur."""

import re
from collections.abc import Iterator

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal

_KINDS = {
    "image": "png jpeg webp heic heif",
    "audio": "wav mp3 mpeg aiff aac ogg flac x-wav m4a mp4 opus pcm webm l16",
    "video": "mp4 mpeg mov quicktime avi x-flv mpg webm wmv 3gpp",
    "text": "plain html css csv xml rtf javascript x-python x-typescript markdown md calendar"
    " x-javascript x-markdown",
    "application": "pdf json rtf x-javascript xml x-yaml yaml",
}
TAKEN = frozenset(f"{kind}/{name}" for kind, names in _KINDS.items() for name in names.split())
_YOUTUBE = re.compile(r"https?://((www|m)\.)?(youtube\.com/|youtu\.be/)", re.IGNORECASE)


def check(request: Json, model: Model) -> None:
    """Refuse media of a type that Gemini, or *model*, does not accept."""
    for content in request["contents"]:
        for part in _media_parts(content):
            _check_part(part, model)


def _media_parts(content: Json) -> Iterator[Json]:
    for part in content["parts"]:
        if "inlineData" in part or "fileData" in part:
            yield part
        yield from part.get("functionResponse", {}).get("parts", ())


def _check_part(part: Json, model: Model) -> None:
    if "media" in model.refuses:
        raise Refusal(f"models/{model.name} takes only text as input.")
    if "inlineData" in part:
        _check_inline(part["inlineData"])
    elif "fileData" in part:
        _check_file(part["fileData"])
    if "mediaResolution" in part and model.version < (3, 0):
        raise Refusal("Per part media resolution is not supported for this Model.")


def _check_inline(blob: Json) -> None:
    mime = (blob.get("mimeType") or "").split(";")[0].strip().lower()
    if mime not in TAKEN:
        raise Refusal(f"Unsupported MIME type: {mime}")
    if not blob.get("data"):
        raise Refusal("Unable to process input media: inline_data.data must not be empty.")


def _check_file(file: Json) -> None:
    uri, mime = file.get("fileUri") or "", file.get("mimeType")
    if not uri:
        raise Refusal("file_data.file_uri must not be empty.")
    if mime and mime.lower() not in TAKEN:
        raise Refusal(f"Unsupported MIME type: {mime}")
    if mime and _YOUTUBE.match(uri) and not mime.startswith("video/"):
        raise Refusal(f"Unsupported MIME type: {mime}")
