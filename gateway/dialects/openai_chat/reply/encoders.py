"""Encoders of raw sound for the formats that clients ask for: small objects, CPU work only.

The input is what Gemini sends: 16 bit little-endian samples. Costs per second of sound: mp3 2 ms,
flac 1.5 ms, aac 8 ms, opus 10 ms, so encoding an answer of minutes is work for a thread.
"""

import struct
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from gateway.errors import BadRequest

# A stream's length is unknown when its header is sent; decoders then read up to the end.
OPEN_SIZE = 0xFFFFFFFF
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MP3_KBPS = 64


class Sound(NamedTuple):
    """The format of samples: *rate* per second, *channels* interleaved."""

    rate: int
    channels: int


class Encoder(Protocol):
    """Encodes whole samples as they arrive."""

    def encode(self, pcm: bytes) -> bytes:
        """Return the encoded bytes that *pcm* completes."""

    def end(self) -> bytes:
        """Return the remaining bytes."""


class Pcm:
    """The samples as they are."""

    def encode(self, pcm: bytes) -> bytes:
        """Return *pcm*."""
        return pcm

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class Wav:
    """The samples after one RIFF header, whose sizes stay open."""

    def __init__(self, sound: Sound) -> None:
        self._header = wav_header(sound, OPEN_SIZE)

    def encode(self, pcm: bytes) -> bytes:
        """Return *pcm*, preceded by the header the first time."""
        header, self._header = self._header, b""
        return header + pcm

    def end(self) -> bytes:
        """Return the header if nothing was encoded."""
        return self._header


class Mp3:
    """MP3 through LAME."""

    def __init__(self, sound: Sound) -> None:
        import lameenc

        self._encoder = lameenc.Encoder()
        self._encoder.set_in_sample_rate(sound.rate)
        self._encoder.set_channels(sound.channels)
        self._encoder.set_bit_rate(_MP3_KBPS * sound.channels)
        # 7 is LAME's fastest quality; at the rates of speech nobody hears the difference.
        self._encoder.set_quality(7)
        self._encoder.silence()
        self._has_begun = False

    def encode(self, pcm: bytes) -> bytes:
        """Return the frames that *pcm* completes."""
        self._has_begun = True
        return bytes(self._encoder.encode(pcm))

    def end(self) -> bytes:
        """Return the last frames; LAME refuses to end what was never begun."""
        return bytes(self._encoder.flush()) if self._has_begun else b""


class _Pipe:
    """A file that FFmpeg writes a container to; what was written is gone once it is taken.

    It has no `seek`. FFmpeg would return to the header to fill in lengths, which by then is sent.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        """Take some bytes; return their number."""
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


class Av:
    """A codec of FFmpeg's in its usual container, through PyAV."""

    def __init__(self, sound: Sound, container: str, codec: str) -> None:
        import av

        self._sound = sound
        self._pipe = _Pipe()
        self._container: Any = av.open(self._pipe, "w", format=container)
        # PyAV resamples where this differs from the rate of the samples.
        rate = _nearest_rate(sound.rate, av.codec.Codec(codec, "w").audio_rates)
        stream: Any = self._container.add_stream(codec, rate=rate)
        stream.layout = _layout(sound)
        self._stream = stream

    def encode(self, pcm: bytes) -> bytes:
        """Return the bytes of the container that *pcm* completes."""
        import av

        samples = len(pcm) // (2 * self._sound.channels)
        frame = av.AudioFrame(format="s16", layout=_layout(self._sound), samples=samples)
        frame.planes[0].update(pcm)
        frame.sample_rate = self._sound.rate
        self._container.mux(self._stream.encode(frame))
        return self._pipe.take()

    def end(self) -> bytes:
        """Return the end of the container."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._pipe.take()


def _nearest_rate(rate: int, supported: Sequence[int] | None) -> int:
    """Return the lowest of the *supported* rates that keeps all of a sound at *rate*.

    None for a codec that supports every rate.
    """
    if supported is None:
        return rate
    return min((one for one in supported if one >= rate), default=max(supported))


def _pcm16(_sound: Sound) -> Encoder:
    return Pcm()


def _opus(sound: Sound) -> Encoder:
    return Av(sound, "ogg", "libopus")


def _aac(sound: Sound) -> Encoder:
    return Av(sound, "adts", "aac")


def _flac(sound: Sound) -> Encoder:
    return Av(sound, "flac", "flac")


ENCODERS: dict[str, Callable[[Sound], Encoder]] = {
    "wav": Wav,
    "pcm16": _pcm16,
    "mp3": Mp3,
    "opus": _opus,
    "aac": _aac,
    "flac": _flac,
}
_NEED_AV = frozenset({"opus", "aac", "flac"})


def require_encoder(name: str) -> None:
    """Raise `BadRequest` if this installation has no encoder for *name*, one of `ENCODERS`."""
    if name in _NEED_AV and find_spec("av") is None:
        raise BadRequest(
            f"This gateway has no encoder for {name}; ask for wav, pcm16 or mp3.",
            param="audio.format",
        )


def wav_header(sound: Sound, size: int) -> bytes:
    """Return the 44 bytes before *size* bytes of samples; *size* may be `OPEN_SIZE`."""
    frame = 2 * sound.channels
    riff_size = OPEN_SIZE if size == OPEN_SIZE else 36 + size
    fixed = (b"RIFF", riff_size, b"WAVE", b"fmt ", 16, 1, sound.channels, sound.rate)
    return _WAV_HEADER.pack(*fixed, sound.rate * frame, frame, 16, b"data", size)


def sealed(data: bytes) -> bytes:
    """Return *data* with its sizes filled in, if it is a WAV file whose sizes were left open."""
    if len(data) < _WAV_HEADER.size or not data.startswith(b"RIFF\xff\xff\xff\xff"):
        return data
    fields = _WAV_HEADER.unpack_from(data)
    samples = data[_WAV_HEADER.size :]
    return wav_header(Sound(rate=fields[7], channels=fields[6]), len(samples)) + samples


def _layout(sound: Sound) -> str:
    return "mono" if sound.channels == 1 else "stereo"
