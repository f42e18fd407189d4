"""Containers are looked into within bounds, whatever their boxes claim."""

import struct

import pytest

from gateway.media import containers


def box(kind: bytes, body: bytes = b"", *, size: int | None = None) -> bytes:
    return struct.pack("!I", len(body) + 8 if size is None else size) + kind + body


def ftyp(major: bytes, *others: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(others))


def track(handler: bytes) -> bytes:
    return box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + handler + bytes(12))))


BRANDS = [
    (ftyp(b"heic", b"mif1"), "heic"),
    (ftyp(b"hevx"), "heic"),
    (ftyp(b"mif1", b"heic"), "heif"),
    (ftyp(b"msf1", b"hevc"), "heif"),
    (ftyp(b"mif1", b"avif"), "avif"),
    (ftyp(b"mif1", b"avif", b"heic"), "heif"),
    (ftyp(b"avis"), "avif"),
    (ftyp(b"3gp5", b"isom"), "3gpp"),
    (ftyp(b"3g2a"), "3gpp"),
    (ftyp(b"qt  "), "mov"),
    (ftyp(b"M4A ", b"isom"), "m4a"),
    (ftyp(b"crx "), "cr3"),
    (ftyp(b"M4V "), "mp4"),
    (ftyp(b"iso6") + box(b"moov", track(b"soun")), "m4a"),
    (ftyp(b"isom") + box(b"moov", track(b"soun") + track(b"vide")), "mp4"),
    (ftyp(b"isom") + box(b"moov", track(b"text") + track(b"soun")), "m4a"),
    # The movie at the end, behind samples of 64 bit length.
    (
        ftyp(b"mp42") + b"\0\0\0\1mdat" + struct.pack("!Q", 80) + bytes(64)
        + box(b"moov", track(b"soun")),
        "m4a",
    ),
    (ftyp(b"isom") + box(b"moov", track(b"soun"), size=0), "m4a"),
    (ftyp(b"isom") + box(b"moov", track(b"soun"), size=4), "mp4"),
    (ftyp(b"isom") + box(b"moov", track(b"soun"), size=2**32 - 1), "m4a"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "name"), BRANDS)
def test_brands_and_tracks_tell_what_a_file_is(data: bytes, name: str):
    assert containers.isobmff(data) == name


class CountingWindow:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads = 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> bytes:
        self.reads += 1
        return self.data[part]


def test_a_walk_over_endless_boxes_ends():
    data = ftyp(b"isom") + box(b"free") * 100_000 + box(b"moov", track(b"soun"))
    assert containers.isobmff(data) == "mp4"
    inner = box(b"free") * 63 + box(b"mdia", box(b"free") * 63 + box(b"hdlr"))
    many = CountingWindow(ftyp(b"isom") + box(b"moov", box(b"trak", inner) * 500))
    assert containers.isobmff(many) == "mp4"
    assert many.reads < 600


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "mkv"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x86webm\0\0", "webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82", None),
        (b"\x1a\x45\xdf\xa3" + bytes(50), None),
    ],
)
def test_the_document_type_tells_webm_from_matroska(data: bytes, name: str | None):
    assert containers.matroska(data) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("fffb9000", "mp3"),
        ("fff3a4c4", "mp3"),
        ("fffa9000", "mp3"),
        ("fffd9000", "mp2"),
        ("fff15080", "aac"),
        ("fff95080", "aac"),
        ("fff17c80", None),
        ("fffe3c00", None),
        ("ffeb9000", None),
        ("fffbf000", None),
        ("fffb9c00", None),
        ("ffd8ffe0", None),
        ("fffb", None),
        ("", None),
    ],
)
def test_a_frame_header_must_be_possible(head: str, name: str | None):
    assert containers.mpeg_audio(bytes.fromhex(head)) == name


def test_tags_in_a_row_are_skipped_up_to_a_bound():
    tag = b"ID3\x04\0\0\0\0\0\x02ab"
    assert containers.tagged(tag * 3 + b"\xff\xf1\x50\x80") == "aac"
    assert containers.tagged(tag + b"fLaC") == "flac"
    assert containers.tagged(b"ID3\x04\0\x10\0\0\0\x02ab" + bytes(10) + b"fLaC") == "flac"
    assert containers.tagged(tag * 100_000) == "mp3"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (box(b"wide") + box(b"mdat", bytes(9)), "mov"),
        (box(b"free", bytes(20)) + box(b"moov"), "mov"),
        (box(b"free", bytes(20)), None),
        (b"\x7f\xff\xff\xffskip", None),
    ],
)
def test_an_old_movie_has_a_movie_or_its_samples(data: bytes, name: str | None):
    assert containers.quicktime(data) == name
