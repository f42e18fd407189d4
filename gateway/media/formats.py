"""The media formats that Gemini takes, and how to tell them by their bytes.

The bytes decide. What the client declares is only a hint: it names text formats, which have no
signature, it tells raw PCM, and it may not contradict the bytes in kind.

Types and aliases: ai.google.dev, pages image-, audio-, video- and document-understanding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import filetype

from gateway.errors import InvalidMedia, UnsupportedMedia
from gateway.media import containers
from gateway.media.containers import Window

HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Format:
    """A format; *mime* is the type that Gemini takes, None when it does not take the format."""

    name: str
    kind: str
    mime: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What the client says of one media part, and what such a part may hold.

    *param* names the part in errors. *declared* is a MIME type, a bare format name, or empty.
    *served_as* is the type that the server of a URL named; it only tells one text from another.
    """

    param: str
    kinds: tuple[str, ...]
    declared: str = ""
    filename: str = ""
    served_as: str = ""


ALLOWED = {
    "image": ("png", "jpeg", "webp", "heic", "heif"),
    "audio": ("wav", "mp3", "aiff", "aac", "ogg", "flac"),
    "video": ("mp4", "mpeg", "mov", "avi", "x-flv", "mpg", "webm", "wmv", "3gpp"),
    "document": ("pdf",),
    "text": ("plain text", "html", "css", "csv", "xml", "rtf", "javascript", "json", "markdown"),
}

_FORMATS = {
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
        # AAC in an MP4 container: the nearest of the six types.
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

# Names under which clients send formats: subtypes, file extensions, and the oddities of both.
_NAMES = {
    **{name: name for name in _FORMATS},
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

_LIBRARY = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "audio/x-wav": "wav",
    "audio/x-aiff": "aiff",
    "audio/x-flac": "flac",
    "video/x-msvideo": "avi",
    "video/x-flv": "x-flv",
    "application/pdf": "pdf",
    "application/rtf": "rtf",
}

# Where the first bytes stand, what they are, and who looks further (or what they already say).
_MAGICS: tuple[tuple[int, bytes, Callable[[Window], str | None] | str], ...] = (
    (4, b"ftyp", containers.isobmff),
    *((4, kind, containers.quicktime) for kind in (b"moov", b"mdat", b"wide", b"free", b"skip")),
    (0, b"\x1a\x45\xdf\xa3", containers.matroska),
    (0, b"OggS", containers.ogg),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", containers.asf),
    (0, b"ID3", containers.tagged),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"\x00\x00\x01\xb3", "mpeg"),
    (8, b"AIFC", "aiff"),
    (0, b"G", containers.mpeg_transport),
    (0, b"\xff", containers.mpeg_audio),
)


def identify(window: Window) -> Format | None:
    """Tell the format of the bytes in *window*; None if they carry no known signature."""
    head = window[:HEAD_BYTES]
    for at, magic, look in _MAGICS:
        if head[at : at + len(magic)] == magic:
            name = look if isinstance(look, str) else look(window)
            if name is not None:
                return _FORMATS[name]
    guess = filetype.guess(head)
    if guess is None or guess.mime in {"video/mpeg", "audio/mpeg", "audio/aac"}:
        # Two bytes are too little for these: the checks above have looked closer.
        return None
    name = _LIBRARY.get(guess.mime)
    return _FORMATS[name] if name else Format(guess.extension, _kind(guess.mime))


def named(declared: str) -> Format | None:
    """Give the format meant by a MIME type, a bare name or a file extension; None if unknown."""
    mime = declared.partition(";")[0].strip().lower()
    return _FORMATS.get(_MIMES.get(mime) or _NAMES.get(mime.rpartition("/")[2].lstrip("."), ""))


def settle(window: Window, claim: Claim) -> Format:
    """Decide the format of a part; its *mime* is never None.

    Raises `UnsupportedMedia` for a format that Gemini or this part does not take, `InvalidMedia`
    (code `media_type_mismatch`) when the declared kind contradicts the bytes.
    """
    hint = named(claim.declared)
    found = identify(window)
    if "text" in claim.kinds and not _is_document(found) and is_text(window):
        return _text(claim)
    if hint is not None and hint.name == "pcm" and (found is None or found.name != "wav"):
        return hint
    if found is None or found.mime is None or found.kind not in claim.kinds:
        raise _unsupported(found or _textual(window), claim)
    # Sound and video share containers and names.
    if hint is not None and {hint.kind, found.kind} not in ({found.kind}, {"audio", "video"}):
        raise InvalidMedia(
            f"This part is declared as {claim.declared[:80]!r}, but its bytes are {found.name}."
            " Declare what it is, or leave the type out.",
            param=claim.param,
            code="media_type_mismatch",
        )
    return found


def is_text(window: Window) -> bool:
    """Tell whether the bytes begin as UTF-8 text without control characters."""
    head = bytes(window[:HEAD_BYTES])
    if any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character cut by the end of the head is no fault.
        return bool(head) and error.start > len(head) - 4 and len(window) > len(head)
    return bool(head)


def _is_document(found: Format | None) -> bool:
    """Tell whether *found* is of the formats that may be text: no sound, image or video is."""
    return found is not None and found.mime is not None and found.kind in {"document", "text"}


def _text(claim: Claim) -> Format:
    extension = claim.filename.rpartition(".")[2] if "." in claim.filename else ""
    for hint in map(named, (claim.declared, extension, claim.served_as)):
        if hint is not None and hint.kind == "text":
            return hint
    return _FORMATS["txt"]


def _textual(window: Window) -> Format | None:
    """Name the text formats that are sent in place of media: error pages and vector images."""
    head = bytes(window[:512]).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return Format("svg", "image")
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Format("html", "text")
    return Format("text", "text") if is_text(window) else None


def _kind(mime: str) -> str:
    kind = mime.partition("/")[0]
    return kind if kind in {"image", "audio", "video"} else "other"


def _unsupported(found: Format | None, claim: Claim) -> UnsupportedMedia:
    what = f"of the format {found.name}" if found else "of no known media format"
    hint = named(claim.declared)
    kind = (found and found.kind) or (hint and hint.kind)
    kinds = (kind,) if kind in claim.kinds else claim.kinds
    allowed = "; ".join(f"{kind}: {', '.join(ALLOWED[kind])}" for kind in kinds)
    return UnsupportedMedia(
        f"This part is {what}, which is not accepted here. Allowed formats: {allowed}.",
        param=claim.param,
    )
