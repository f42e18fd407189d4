"""A WAV header for raw PCM, which Gemini does not accept without one."""

import struct

from gateway.protocols import Window

_RATE = 24_000


def pcm_header(size: int, declared: str) -> bytes:
    """Return a header for *size* bytes of 16 bit samples; its length is a multiple of 3.

    So its base64 can be put in front of the base64 of the samples. Rate and channels come from a
    type such as `audio/L16;rate=16000;channels=2`; the default is OpenAI's pcm16: 24 kHz, mono.
    """
    rate = _parameter(declared, "rate", _RATE, 768_000)
    channels = _parameter(declared, "channels", 1, 8)
    layout = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    # The two bytes of the JUNK chunk extend the header from 44 to 54 bytes.
    body = b"WAVEfmt " + struct.pack("<I", 16) + layout + b"JUNK\x02\0\0\0\0\0"
    whole, samples = struct.pack("<I", len(body) + 8 + size), struct.pack("<I", size)
    return b"RIFF" + whole + body + b"data" + samples


class Headed:
    """The bytes of *samples* after their *header*."""

    __slots__ = ("_header", "_samples")

    def __init__(self, header: bytes, samples: Window) -> None:
        self._header = header
        self._samples = samples

    def __len__(self) -> int:
        return len(self._header) + len(self._samples)

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(len(self))
        before = len(self._header)
        samples = self._samples[max(start - before, 0) : max(stop - before, 0)]
        return self._header[start:stop] + samples


def _parameter(declared: str, name: str, default: int, largest: int) -> int:
    for entry in declared.lower().split(";")[1:]:
        key, _, text = entry.partition("=")
        value = text.strip()[:9]
        if key.strip() == name and value.isdecimal() and 0 < int(value) <= largest:
            return int(value)
    return default
