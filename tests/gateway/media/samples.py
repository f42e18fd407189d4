"""Small real files of every media format, made by the encoders of Pillow and PyAV or by hand."""

import io
import struct
import zipfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import av
import av.audio.frame
import av.video.frame
import pillow_heif
from PIL import Image


def _image(kind: str) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        Image.effect_noise((16, 16), 50).convert("RGB").save(buffer, kind)
        return buffer.getvalue()

    return make


def _heic() -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(buffer)
    return buffer.getvalue()


def _heif() -> bytes:
    """Return a still picture whose major brand is the general one."""
    data = _heic()
    assert data[4:12] == b"ftypheic"
    return data[:8] + b"mif1" + data[12:]


def _av(container: str, *, audio: str = "", video: str = "", rate: int = 24_000) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        streams = []
        if video:
            picture = output.add_stream(video, rate=25)
            picture.width, picture.height, picture.pix_fmt = 176, 144, "yuv420p"
            streams.append((picture, _pictures))
        if audio:
            sound = output.add_stream(audio, rate=rate, layout="mono")
            sound.bit_rate = 64_000
            streams.append((sound, _sounds))
        for stream, frames in streams:
            for frame in frames(stream):
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return buffer.getvalue()


def _pictures(stream):
    for index in range(3):
        frame = av.video.frame.VideoFrame(stream.width, stream.height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([index * 40]) * plane.buffer_size)
        frame.pts, frame.time_base = index, Fraction(1, 25)
        yield frame


def _sounds(stream):
    size = stream.frame_size or 1024
    resampler = av.AudioResampler(stream.format, stream.layout, stream.rate)
    for index in range(4):
        frame = av.audio.frame.AudioFrame("s16", "mono", size)
        frame.planes[0].update(b"\x10\x02" * (frame.planes[0].buffer_size // 2))
        frame.sample_rate, frame.pts = stream.rate, index * size
        yield from resampler.resample(frame)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


def _id3(size: int) -> bytes:
    """Return an ID3v2 tag with *size* bytes of padding."""
    return b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


def _mp3() -> bytes:
    return _av("mp3", audio="libmp3lame")


def _program_stream() -> bytes:
    return _av("mpeg", video="mpeg1video", audio="mp2", rate=44_100)


# What Gemini takes: the name in the document, the type that goes up, and how to make it.
TAKEN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "png": ("image/png", _image("PNG")),
    "jpeg": ("image/jpeg", _image("JPEG")),
    "webp": ("image/webp", _image("WEBP")),
    "heic": ("image/heic", _heic),
    "heif": ("image/heif", _heif),
    "wav": ("audio/wav", lambda: _av("wav", audio="pcm_s16le")),
    "mp3": ("audio/mp3", _mp3),
    "mp3 without a tag": ("audio/mp3", lambda: _mp3()[_mp3().index(b"\xff\xf3") :]),
    "mp3 with a large tag": ("audio/mp3", lambda: _id3(9000) + _mp3()),
    "aiff": ("audio/aiff", lambda: _av("aiff", audio="pcm_s16be")),
    "aiff, compressed": ("audio/aiff", lambda: b"FORM\0\0\0\x40AIFCFVER" + bytes(64)),
    "aac": ("audio/aac", lambda: _av("adts", audio="aac")),
    "aac with a tag": ("audio/aac", lambda: _id3(5000) + _av("adts", audio="aac")),
    "m4a": ("audio/aac", lambda: _av("ipod", audio="aac")),
    "mp4 without pictures": ("audio/aac", lambda: _av("mp4", audio="aac")),
    "ogg": ("audio/ogg", lambda: _av("ogg", audio="libopus", rate=48_000)),
    "ogg with flac": ("audio/ogg", lambda: _av("ogg", audio="flac")),
    "flac": ("audio/flac", lambda: _av("flac", audio="flac")),
    "mp4": ("video/mp4", lambda: _av("mp4", video="mpeg4", audio="aac")),
    "mpeg": ("video/mpeg", _program_stream),
    "mpg": ("video/mpeg", lambda: _av("mpeg2video", video="mpeg2video")),
    "mov": ("video/mov", lambda: _av("mov", video="mpeg4")),
    "mov without ftyp": ("video/mov", lambda: _without_ftyp(_av("mov", video="mpeg4"))),
    "avi": ("video/avi", lambda: _av("avi", video="mpeg4")),
    "x-flv": ("video/x-flv", lambda: _av("flv", video="flv1")),
    "webm": ("video/webm", lambda: _av("webm", video="libvpx")),
    "webm without pictures": ("video/webm", lambda: _av("webm", audio="libopus", rate=48_000)),
    "wmv": ("video/wmv", lambda: _av("asf", video="wmv2")),
    "3gpp": ("video/3gpp", lambda: _av("3gp", video="mpeg4")),
}

# Under which types and names clients send the formats.
ALIASES = {
    "png": ("image/png", "png", ".png", "IMAGE/PNG", "image/x-png", "image/png; charset=binary"),
    "jpeg": ("image/jpeg", "image/jpg", "jpg", "image/pjpeg"),
    "wav": ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "wav"),
    "mp3": ("audio/mp3", "audio/mpeg", "mp3", "audio/mpga", "audio/x-mp3"),
    "aiff": ("audio/aiff", "audio/x-aiff", "aif"),
    "aac": ("audio/aac", "audio/x-aac", "audio/aacp"),
    "m4a": ("audio/m4a", "audio/x-m4a", "audio/mp4", "m4a"),
    "ogg": ("audio/ogg", "audio/opus", "opus", "audio/ogg; codecs=opus"),
    "flac": ("audio/flac", "audio/x-flac", "flac"),
    "mp4": ("video/mp4", "video/m4v", "video/x-m4v", "mp4"),
    "mpeg": ("video/mpeg", "video/mpg", "mpg", "mpeg"),
    "mov": ("video/mov", "video/quicktime", "mov"),
    "avi": ("video/avi", "video/x-msvideo", "avi"),
    "x-flv": ("video/x-flv", "video/flv", "flv"),
    "webm": ("video/webm", "audio/webm", "webm"),
    "wmv": ("video/wmv", "video/x-ms-wmv", "wmv"),
    "3gpp": ("video/3gpp", "video/3gp", "3gp"),
}

# What is refused: the name that the message gives it.
REFUSED: dict[str, Callable[[], bytes]] = {
    "gif": _image("GIF"),
    "bmp": _image("BMP"),
    "tif": _image("TIFF"),
    "ico": _image("ICO"),
    "jpx": _image("JPEG2000"),
    "avif": _image("AVIF"),
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9"/></svg>',
    "html": lambda: b"<!DOCTYPE html>\n<html><body>Sign in</body></html>",
    "mkv": lambda: _av("matroska", video="mpeg4"),
    "mpegts": lambda: _av("mpegts", video="mpeg2video"),
    "mp2": lambda: _av("mp2", audio="mp2", rate=44_100),
    "wma": lambda: _av("asf", audio="wmav2", rate=44_100),
    "ogv": lambda: b"OggS\0\x02" + bytes(20) + b"\x01\x2a\x80theora\x03\x02\x01" + bytes(40),
    "mid": lambda: b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0",
    "amr": lambda: b"#!AMR\n" + bytes(40),
    "zip": _zip,
    "exe": lambda: b"MZ\x90\0\x03" + bytes(200),
    "elf": lambda: b"\x7fELF\x02\x01\x01" + bytes(200),
    "an unknown": lambda: bytes(range(1, 250)),
    "text": lambda: b"Just words.",
}

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def _without_ftyp(data: bytes) -> bytes:
    return data[int.from_bytes(data[:4], "big") :]


@cache
def sample(name: str) -> bytes:
    """Return the file called *name* in `TAKEN` or `REFUSED`."""
    return TAKEN[name][1]() if name in TAKEN else REFUSED[name]()


def pcm(seconds: float = 0.01, rate: int = 24_000) -> bytes:
    """Return raw 16 bit samples that begin like an MP3 frame."""
    return struct.pack("<h", -5) * int(seconds * rate)
