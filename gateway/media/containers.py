"""Examines containers whose first bytes do not show what they hold.

A window is anything with a length and slices of bytes: bytes, mmap, or base64 text decoded slice by
slice. Each function takes a window whose magic has matched and returns the name of a format, or
None. Every walk is bounded: the bytes are hostile.
"""

from collections.abc import Iterator
from itertools import islice

from gateway.protocols import Window

# Each takes microseconds of the event loop; a film with thirty tracks has 300.
_MAX_BOXES = 512
_MAX_TAGS = 8
_MAX_HEADER = 262_144

_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_BRANDS = {
    **dict.fromkeys(_HEIC_BRANDS, "heic"),
    **dict.fromkeys((b"mif1", b"msf1", b"mif2"), "heif"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), "m4a"),
    b"qt  ": "mov",
    b"crx ": "cr3",
    b"jp2 ": "jp2",
}


def isobmff(window: Window) -> str | None:
    """Tell heic, heif, avif, 3gpp, mov, m4a and mp4 apart by brands and tracks (ISO 14496-12)."""
    size = int.from_bytes(window[:4], "big")
    box = window[8 : min(size, 512)]
    major, others = box[:4], {box[at : at + 4] for at in range(8, len(box), 4)}
    if major[:2] == b"3g":
        return "3gpp"
    name = _BRANDS.get(major)
    if name == "heif" and others & {b"avif", b"avis"} and not others & _HEIC_BRANDS:
        return "avif"
    if name is None:
        name = "m4a" if _tracks(window) == {b"soun"} else "mp4"
    return name


def quicktime(window: Window) -> str | None:
    """Recognise a QuickTime file older than the ftyp box by its first boxes."""
    kinds = {kind for kind, _ in _Walk(window).boxes((0, len(window)))}
    return "mov" if kinds & {b"moov", b"mdat"} else None


def _tracks(window: Window) -> set[bytes]:
    """Return the handler types of all tracks, `vide` or `soun`, from moov/trak/mdia/hdlr."""
    walk, handlers = _Walk(window), set()
    for movie in islice(walk.find(b"moov", (0, len(window))), 1):
        for track in walk.find(b"trak", movie):
            for media in islice(walk.find(b"mdia", track), 1):
                for start, _ in islice(walk.find(b"hdlr", media), 1):
                    handlers.add(window[start + 8 : start + 12])
    return handlers & {b"vide", b"soun"}


class _Walk:
    """A walk over the boxes of *window*: a limited number in all, however they nest."""

    __slots__ = ("_boxes_left", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._boxes_left = _MAX_BOXES

    def find(self, kind: bytes, span: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """Yield start and end of the bodies of the boxes of *kind* in *span*."""
        return (body for box_kind, body in self.boxes(span) if box_kind == kind)

    def boxes(self, span: tuple[int, int]) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """Yield type, and start and end of the body, of each box in *span*."""
        start, end = span
        while start < end and self._boxes_left:
            self._boxes_left -= 1
            head = self._window[start : start + 16]
            if len(head) < 8:
                return
            size, body = int.from_bytes(head[:4], "big"), start + 8
            if size == 1:
                size, body = int.from_bytes(head[8:16], "big"), start + 16
            stop = min(start + size, end) if size else end
            if stop < body:
                return
            yield head[4:8], (body, stop)
            start = stop


def matroska(window: Window) -> str | None:
    """Tell WebM from other Matroska by the DocType element (0x4282) of the EBML header."""
    head = window[:128]
    at = head.find(b"\x42\x82")
    if at < 0 or at + 3 > len(head):
        return None
    length = head[at + 2] & 0x7F
    return "webm" if head[at + 3 : at + 3 + length].rstrip(b"\0") == b"webm" else "mkv"


def ogg(window: Window) -> str | None:
    """Tell sound from video: the first page of every logical stream names its codec."""
    head = window[:4096]
    return "ogv" if b"\x80theora" in head or b"BBCD" in head else "ogg"


def asf(window: Window) -> str | None:
    """Tell WMV from WMA: it has a stream properties object with the video media type."""
    size = int.from_bytes(window[16:24], "little")
    return "wmv" if _ASF_VIDEO in window[: min(size, _MAX_HEADER)] else "wma"


def tagged(window: Window) -> str | None:
    """Look after ID3 tags: MP3 has them, but AAC and FLAC may, too."""
    at = 0
    for _ in range(_MAX_TAGS):
        head = window[at : at + 10]
        if head[:3] != b"ID3" or len(head) < 10:
            break
        footer = 10 if head[5] & 0x10 else 0
        at += 10 + footer + sum((head[6 + i] & 0x7F) << (21 - 7 * i) for i in range(4))
    magic = window[at : at + 4]
    if magic == b"fLaC":
        return "flac"
    return mpeg_audio(magic) or "mp3"


def mpeg_audio(window: Window) -> str | None:
    """Tell AAC in ADTS frames from MPEG layer III and II by the first frame header."""
    head = window[:4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "aac" if head[2] >> 2 & 0xF < 13 else None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if version == 1 or head[2] >> 4 == 15 or head[2] >> 2 & 3 == 3:
        return None
    return {1: "mp3", 2: "mp2"}.get(layer)


def mpeg_transport(window: Window) -> str | None:
    """Recognise a transport stream by its sync bytes, 188 bytes apart."""
    return "mpegts" if window[188:189] == b"G" and window[376:377] in {b"G", b""} else None
