"""Raw samples get a header that any player reads."""

import io
import wave

import pytest

from gateway.media.wav import Headed, pcm_header
from tests.gateway.media.samples import pcm


@pytest.mark.parametrize(
    ("declared", "rate", "channels"),
    [
        ("", 24_000, 1),
        ("pcm16", 24_000, 1),
        ("audio/L16;rate=16000", 16_000, 1),
        ("audio/L16; codec=pcm; Rate = 44100 ;channels=2", 44_100, 2),
        ("audio/L16;rate=0;channels=0", 24_000, 1),
        ("audio/L16;rate=99999999999;channels=9", 24_000, 1),
        ("audio/L16;rate=-5;channels=x", 24_000, 1),
        ("audio/L16;rate=²", 24_000, 1),
        ("audio/L16;rate=          16000", 16_000, 1),
    ],
)
def test_rate_and_channels_are_those_declared_where_they_make_sense(declared, rate, channels):
    samples = pcm(0.1)
    header = pcm_header(len(samples), declared)
    with wave.open(io.BytesIO(header + samples)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (
            rate,
            channels,
            2,
        )
        assert sound.readframes(10**6) == samples


def test_samples_behind_their_header_are_read_like_one_file():
    whole = Headed(b"head", b"samples")
    assert len(whole) == 11
    for start in range(13):
        for stop in range(start, 13):
            assert whole[start:stop] == b"headsamples"[start:stop]
    assert whole[:] == b"headsamples"


def test_the_header_fills_whole_groups_of_base64():
    assert len(pcm_header(100, "")) % 3 == 0
