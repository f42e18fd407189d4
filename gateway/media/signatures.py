"""Recognises formats by their first bytes, and by what containers reveal."""

from collections.abc import Callable

import filetype

from gateway.media import containers
from gateway.media.known_formats import FORMATS, Format
from gateway.protocols import Window

HEAD_BYTES = 4096

# Formats by the types that the library returns.
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

# The offset of the first bytes, their value, and the function that looks further (or the format).
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
    """Return the format of the bytes in *window*; None if they have no known signature."""
    head = window[:HEAD_BYTES]
    for at, magic, look in _MAGICS:
        if head[at : at + len(magic)] == magic:
            name = look if isinstance(look, str) else look(window)
            if name is not None:
                return FORMATS[name]
    guess = filetype.guess(head)
    if guess is None or guess.mime in {"video/mpeg", "audio/mpeg", "audio/aac"}:
        # Two bytes are too few for these: the checks above have looked closer.
        return None
    name = _LIBRARY.get(guess.mime)
    return FORMATS[name] if name else Format(guess.extension, _kind(guess.mime))


def is_text(window: Window) -> bool:
    """Tell whether the bytes begin as UTF-8 text without control characters."""
    head = bytes(window[:HEAD_BYTES])
    if any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character cut by the end of the head is no error.
        return bool(head) and error.start > len(head) - 4 and len(window) > len(head)
    return bool(head)


def textual(window: Window) -> Format | None:
    """Return the text format that is sent in place of media: an error page or a vector image."""
    head = bytes(window[:512]).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return Format("svg", "image")
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Format("html", "text")
    return Format("text", "text") if is_text(window) else None


def _kind(mime: str) -> str:
    kind = mime.partition("/")[0]
    return kind if kind in {"image", "audio", "video"} else "other"
