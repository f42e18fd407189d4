import io
import math
import struct
import sys
import wave

import pytest

from gateway.dialects.openai_chat.reply.encoders import (
    ENCODERS,
    OPEN_SIZE,
    Sound,
    require_encoder,
    sealed,
    wav_header,
)
from gateway.errors import BadRequest

RATE = 24_000
MONO = Sound(RATE, 1)
TONE = b"".join(
    struct.pack("<h", int(9000 * math.sin(2 * math.pi * 440 * n / RATE))) for n in range(RATE)
)


def encode(name, pcm=TONE, size=4000, sound=MONO):
    encoder = ENCODERS[name](sound)
    pieces = [encoder.encode(pcm[start : start + size]) for start in range(0, len(pcm), size)]
    return b"".join(pieces) + encoder.end()


def seconds(data):
    """Return how long *data* plays, as another program reads it."""
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].sample_rate


def test_samples_stay_as_they_are():
    assert encode("pcm16") == TONE


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
def test_a_wav_file_tells_its_rate_and_is_as_long_as_it_is(rate):
    data = sealed(encode("wav", sound=Sound(rate, 1)))
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, 1, 2)
        assert file.readframes(file.getnframes()) == TONE
    assert data[4:8] == struct.pack("<I", len(data) - 8)


def test_a_stream_of_wav_has_one_header_with_open_sizes():
    data = encode("wav", sound=Sound(RATE, 2))
    assert data.count(b"RIFF") == 1
    assert data[:44] == wav_header(Sound(RATE, 2), OPEN_SIZE)
    assert seconds(data) == pytest.approx(0.5, abs=0.01)


def test_a_wav_file_without_sound_is_still_one():
    with wave.open(io.BytesIO(sealed(encode("wav", b"")))) as file:
        assert file.getnframes() == 0


def test_only_an_open_wav_file_is_sealed():
    closed = wav_header(Sound(RATE, 1), 2) + b"ab"
    for data in (b"", b"ID3", closed):
        assert sealed(data) == data


@pytest.mark.parametrize(
    ("name", "magic"),
    [("mp3", (b"\xff", b"ID3")), ("opus", b"OggS"), ("aac", b"\xff\xf1"), ("flac", b"fLaC")],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_each_format_is_what_it_says_and_plays_its_length(name, magic, channels):
    if name != "mp3":
        pytest.importorskip("av")
    data = encode(name, sound=Sound(RATE, channels))
    assert data.startswith(magic)
    assert seconds(data) == pytest.approx(1 / channels, abs=0.12)


def test_flac_is_decoded_to_the_very_samples():
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(encode("flac"))) as container:
        frames = list(container.decode(audio=0))
    assert b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames) == TONE


@pytest.mark.parametrize("name", ["opus", "aac"])
@pytest.mark.parametrize("rate", [11_111, 22_050, 44_100, 192_000])
def test_a_rate_that_a_codec_lacks_is_resampled(name, rate):
    pytest.importorskip("av")
    data = encode(name, TONE[: 2 * rate], sound=Sound(rate, 1))
    assert seconds(data) == pytest.approx(min(1, len(TONE) / 2 / rate), abs=0.15)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_that_got_no_sound_ends_all_the_same(name):
    if name not in {"wav", "pcm16", "mp3"}:
        pytest.importorskip("av")
    ENCODERS[name](MONO).end()


def test_encoders_give_bytes_while_sound_comes_in():
    pytest.importorskip("av")
    encoder = ENCODERS["aac"](Sound(RATE, 1))
    assert encoder.encode(TONE)


def test_a_format_that_cannot_be_made_is_refused_by_name(monkeypatch):
    require_encoder("wav")
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("gateway.dialects.openai_chat.reply.encoders.find_spec", lambda _name: None)
    require_encoder("mp3")
    with pytest.raises(BadRequest, match="opus") as refused:
        require_encoder("opus")
    assert refused.value.param == "audio.format"
