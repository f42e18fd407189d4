"""The media formats that Gemini accepts, those it does not, and the names clients use for them.

Types and aliases: ai.google.dev, pages image-, audio-, video- and document-understanding.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A format; *mime* is the type for Gemini, None if Gemini does not accept the format."""

    name: str
    kind: str
    mime: str | None = None


ALLOWED = {
    "image": ("png", "jpeg", "webp", "heic", "heif"),
    "audio": ("wav", "mp3", "aiff", "aac", "ogg", "flac"),
    "video": ("mp4", "mpeg", "mov", "avi", "x-flv", "mpg", "webm", "wmv", "3gpp"),
    "document": ("pdf",),
    "text": ("plain text", "html", "css", "csv", "xml", "rtf", "javascript", "json", "markdown"),
}

FORMATS = {
    entry.name: entry
    for entry in (
        Format("png", "image", "image/png"),
        Format("jpeg", "image", "image/jpeg"),
        Format("webp", "image", "image/webp"),
        Format("heic", "image", "image/heic"),
        Format("heif", "image", "image/heif"),
        Format("wav", "audio", "audio/wav"),
        Format("mp3", "audio", "audio/mp3"),
        Format("aiff", "audio", "audio/aiff"),
        Format("aac", "audio", "audio/aac"),
        # AAC in an MP4 container: the closest of the six types.
        Format("m4a", "audio", "audio/aac"),
        Format("ogg", "audio", "audio/ogg"),
        Format("flac", "audio", "audio/flac"),
        Format("pcm", "audio", "audio/wav"),
        Format("mp4", "video", "video/mp4"),
        Format("mpeg", "video", "video/mpeg"),
        Format("mov", "video", "video/mov"),
        Format("avi", "video", "video/avi"),
        Format("x-flv", "video", "video/x-flv"),
        Format("webm", "video", "video/webm"),
        Format("wmv", "video", "video/wmv"),
        Format("3gpp", "video", "video/3gpp"),
        Format("pdf", "document", "application/pdf"),
        Format("txt", "text", "text/plain"),
        Format("html", "text", "text/html"),
        Format("css", "text", "text/css"),
        Format("csv", "text", "text/csv"),
        Format("xml", "text", "text/xml"),
        Format("rtf", "text", "text/rtf"),
        Format("javascript", "text", "text/javascript"),
        Format("json", "text", "application/json"),
        Format("avif", "image"),
        Format("cr3", "image"),
        Format("jp2", "image"),
        Format("mkv", "video"),
        Format("ogv", "video"),
        Format("mpegts", "video"),
        Format("mp2", "audio"),
        Format("wma", "audio"),
    )
}

# Names under which clients send formats: subtypes, file extensions, and oddities of both.
_NAMES = {
    **{name: name for name in FORMATS},
    **dict.fromkeys(("jpg", "pjpeg", "jpe", "jfif"), "jpeg"),
    "x-png": "png",
    **dict.fromkeys(("heic-sequence", "x-heic"), "heic"),
    **dict.fromkeys(("heif-sequence", "x-heif"), "heif"),
    **dict.fromkeys(("x-wav", "wave", "vnd.wave", "x-pn-wav"), "wav"),
    **dict.fromkeys(("x-mp3", "mpeg3", "x-mpeg-3", "mpga", "x-mpeg"), "mp3"),
    **dict.fromkeys(("x-aiff", "aif", "aifc"), "aiff"),
    **dict.fromkeys(("x-aac", "aacp", "adts"), "aac"),
    **dict.fromkeys(("x-m4a", "m4b", "mp4a-latm"), "m4a"),
    **dict.fromkeys(("oga", "opus", "vorbis", "x-ogg"), "ogg"),
    "x-flac": "flac",
    **dict.fromkeys(("l16", "pcm16", "s16le", "x-raw"), "pcm"),
    **dict.fromkeys(("m4v", "x-m4v", "mpeg4"), "mp4"),
    **dict.fromkeys(("mpg", "x-mpg", "mpegps", "mpe"), "mpeg"),
    **dict.fromkeys(("quicktime", "qt", "x-quicktime"), "mov"),
    **dict.fromkeys(("x-msvideo", "msvideo", "vnd.avi"), "avi"),
    **dict.fromkeys(("flv",), "x-flv"),
    **dict.fromkeys(("x-ms-wmv", "x-ms-asf", "asf"), "wmv"),
    **dict.fromkeys(("3gp", "3gpp2", "3g2"), "3gpp"),
    "x-pdf": "pdf",
    **dict.fromkeys(("plain", "text", "log", "md", "markdown", "x-markdown"), "txt"),
    **dict.fromkeys(("htm", "xhtml+xml"), "html"),
    **dict.fromkeys(("js", "mjs", "x-javascript", "ecmascript"), "javascript"),
    "x-matroska": "mkv",
}
# One subtype, two kinds.
_MIMES = {"audio/mpeg": "mp3", "audio/mp4": "m4a", "video/x-mpeg": "mpeg", "video/ogg": "ogv"}


def format_named(declared: str) -> Format | None:
    """Return the format of a MIME type, a bare name or a file extension; None if unknown."""
    mime = declared.partition(";")[0].strip().lower()
    return FORMATS.get(_MIMES.get(mime) or _NAMES.get(mime.rpartition("/")[2].lstrip("."), ""))
