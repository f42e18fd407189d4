"""Generated pictures and sound, small and valid."""

import base64
import math
import re
import struct
import zlib

from gateway.simulator.answers.request import Chunk, Request
from gateway.simulator.refusal import Json

_RATE = 24_000
_TONE_HZ = 440
_SAMPLES_PER_LETTER = 480
PCM = f"audio/L16;codec=pcm;rate={_RATE}"


def png(width: int = 8, height: int = 8) -> bytes:
    """Return a PNG of one colour."""
    rows = (b"\0" + b"\x42\x85\xf4" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _block(kind, data)
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def pcm(letters: int) -> bytes:
    """Return a tone, 16 bit little endian mono at 24 kHz, 20 ms for each of *letters*."""
    period = [int(8_000 * math.sin(2 * math.pi * _TONE_HZ * at / _RATE)) for at in range(600)]
    cycle = struct.pack(f"<{len(period)}h", *period)
    size = 2 * max(letters, 1) * _SAMPLES_PER_LETTER
    return (cycle * (size // len(cycle) + 1))[:size]


def inline(mime: str, data: bytes) -> Json:
    """Return *data* as a part."""
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


def picture(request: Request) -> list[Chunk]:
    """Return images, preceded by a text, and by a draft if requested.

    No two images of an answer are equal, nor are their signatures. A requested caption comes last.
    """
    chunks = []
    if request.shows_thoughts:
        chunks.append(Chunk([{**inline("image/png", png(4, 4)), "thought": True}]))
    modalities = request.config.get("responseModalities") or ["TEXT", "IMAGE"]
    if "TEXT" in modalities:
        chunks.append(Chunk([{"text": "Here is your picture.", **request.own_signature(0)}]))
    if "IMAGE" in modalities:
        wanted = re.search(r"(\d) images", request.question)
        chunks += [
            Chunk([{**inline("image/png", png(8 + at)), **request.own_signature(at)}])
            for at in range(int(wanted[1]) if wanted else 1)
        ]
    if "TEXT" in modalities and "caption" in request.question:
        chunks.append(Chunk([{"text": "A square.", **request.own_signature(0)}]))
    return [*chunks, Chunk([], "STOP")]


def speech(request: Request) -> list[Chunk]:
    """Return sound as long as the text is, in two pieces."""
    sound = pcm(len(request.question))
    # Whole samples, and base64 without padding.
    half = len(sound) // 12 * 6
    pieces = [Chunk([inline(PCM, piece)]) for piece in (sound[:half], sound[half:]) if piece]
    return [*pieces, Chunk([], "STOP")]


def _block(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check
