import io
import wave
from base64 import b64decode, b64encode
from itertools import pairwise

import pytest
from openai.types.chat import ChatCompletion

from gateway.dialects.openai_chat.reply.encoders import Sound, wav_header
from gateway.errors import BadRequest, UpstreamError
from tests.gateway.dialects.openai_chat.asking import ask
from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
    whole,
)

PCM = bytes(range(256)) * 9


def sound(data, mime="audio/L16;codec=pcm;rate=24000"):
    return {"inlineData": {"mimeType": mime, "data": b64encode(data).decode()}}


def in_format(name):
    return {"audio": {"format": name, "voice": "Kore"}, "modalities": ["text", "audio"]}


def test_speech_becomes_a_wav_file_of_the_announced_rate():
    answer = whole([stop(sound(PCM, "audio/L16;codec=pcm;rate=16000"))])
    audio = ChatCompletion.model_validate(answer).choices[0].message.audio
    assert (audio.id, audio.transcript, audio.expires_at) == ("audio_x1_0", "", 1_700_000_000)
    with wave.open(io.BytesIO(b64decode(audio.data))) as file:
        assert file.getframerate() == 16_000
        assert file.readframes(file.getnframes()) == PCM
    assert answer["choices"][0]["message"]["content"] is None


def test_pieces_may_end_anywhere_and_can_be_joined_before_decoding():
    cuts = [0, 1, 2, 7, 8, 100, 1001, len(PCM)]
    pieces = [PCM[a:b] for a, b in pairwise(cuts)]
    reply = make_reply(in_format("pcm16"))
    chunks = run(reply, [*(event(sound(piece)) for piece in pieces), stop()])
    pieces_sent = [delta["audio"] for delta in deltas(chunks)]
    assert b64decode("".join(one["data"] for one in pieces_sent)) == PCM
    assert b"".join(b64decode(one["data"]) for one in pieces_sent) == PCM
    # OpenAI's own client joins the texts of all deltas.
    assert "".join(one.get("id", "") for one in pieces_sent) == "audio_x1_0"
    assert b64decode(reply.collect(chunks)["choices"][0]["message"]["audio"]["data"]) == PCM


def test_mp3_is_mp3_and_not_wav():
    """Seen elsewhere: clients asked for mp3 and got WAV."""
    data = b64decode(message([stop(sound(PCM * 20))], in_format("mp3"))["audio"]["data"])
    assert data.startswith((b"\xff", b"ID3"))


def test_what_was_written_is_the_transcript():
    answer = message([event("Hello ", sound(PCM)), stop("there.")])
    assert answer["audio"]["transcript"] == "Hello there."
    assert answer["content"] == "Hello there."


def test_a_wav_file_from_gemini_is_encoded_like_samples():
    file = wav_header(Sound(22_050, 1), len(PCM)) + PCM
    answer = message([stop(sound(file, "audio/wav"))], in_format("pcm16"))
    assert b64decode(answer["audio"]["data"]) == PCM


def test_a_file_in_the_asked_format_is_passed_on():
    answer = message(
        [event(sound(b"ID3ab", "audio/mpeg")), stop(sound(b"c", "audio/mpeg"))], in_format("mp3")
    )
    assert b64decode(answer["audio"]["data"]) == b"ID3abc"


def test_eight_bit_wav_is_passed_on_when_wav_is_asked_for():
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"abc")
    assert (
        b64decode(message([stop(sound(target.getvalue(), "audio/wav"))])["audio"]["data"])
        == target.getvalue()
    )


def test_a_file_that_cannot_be_encoded_goes_out_as_it_came():
    part = sound(b"OggS", "audio/ogg")
    assert message([stop(part)])["native_parts"] == [part]


@pytest.mark.parametrize(
    "other",
    [sound(PCM, "audio/L16;rate=16000"), sound(b"ID3", "audio/mpeg"), sound(b"OggS", "audio/ogg")],
)
def test_sound_of_another_kind_is_not_taken_for_more_of_the_first(other):
    answer = message([event(sound(PCM)), stop(other)], in_format("pcm16"))
    assert b64decode(answer["audio"]["data"]) == PCM
    assert answer["native_parts"] == [other]


def test_a_wav_file_in_pieces_has_one_header():
    file = wav_header(Sound(24_000, 1), len(PCM)) + PCM
    pieces = [event(sound(file[:60], "audio/wav")), stop(sound(file[60:], "audio/wav"))]
    assert b64decode(message(pieces, in_format("pcm16"))["audio"]["data"]) == PCM


@pytest.mark.parametrize(
    "blob",
    [
        {"mimeType": "audio/pcm", "data": "a"},
        {"mimeType": "audio/pcm;rate=0", "data": "AAAA"},
        {"mimeType": "audio/pcm;rate=fast", "data": "AAAA"},
        {"mimeType": "audio/pcm;channels=99", "data": "AAAA"},
    ],
)
def test_broken_sound_is_an_upstream_error(blob):
    with pytest.raises(UpstreamError):
        make_reply().feed(event({"inlineData": blob}))


def test_a_wav_file_of_an_unknown_kind_is_passed_on():
    answer = message([stop(sound(b"RIFF but strange", "audio/wav"))])
    assert b64decode(answer["audio"]["data"]) == b"RIFF but strange"


def test_an_unknown_format_is_refused_before_anything_goes_up():
    with pytest.raises(BadRequest) as refused:
        ask(in_format("vorbis"))
    assert refused.value.param == "audio.format"
