"""Sound in pieces: whole samples, whole groups of base64, one id."""

from base64 import b64decode

from gateway.dialects.openai_chat.reply.audio_output import AudioOutput
from gateway.dialects.openai_chat.reply.encoders import ENCODERS, Pcm, Sound

STEREO = Sound(24_000, 2)


def test_a_sample_that_comes_in_two_pieces_is_encoded_as_one():
    output = AudioOutput("audio_1", ENCODERS["pcm16"](STEREO), "audio/pcm", STEREO)
    pieces = [output.feed(bytes(range(start, start + 5))) for start in (0, 5, 10, 15)]
    data = "".join(delta["audio"]["data"] for piece in pieces for delta in piece)
    data += output.end()["data"]
    assert b64decode(data) == bytes(range(20))


def test_less_than_one_sample_makes_no_delta():
    output = AudioOutput("audio_1", ENCODERS["pcm16"](STEREO), "audio/pcm", STEREO)
    assert output.feed(b"abc") == []


def test_every_delta_can_be_decoded_by_itself_and_the_first_one_has_the_id():
    output = AudioOutput("audio_1", Pcm(), "audio/mpeg", None)
    deltas = [delta["audio"] for piece in (b"abcd", b"efgh") for delta in output.feed(piece)]
    deltas.append(output.end())
    assert b"".join(b64decode(delta["data"]) for delta in deltas) == b"abcdefgh"
    assert ["id" in delta for delta in deltas] == [True, False, False]


def test_sound_of_another_rate_or_a_file_of_another_type_is_not_the_same():
    samples = AudioOutput("a", ENCODERS["pcm16"](STEREO), "audio/pcm", STEREO)
    assert samples.goes_on_with("audio/l16", STEREO)
    assert not samples.goes_on_with("audio/pcm", Sound(16_000, 2))
    file = AudioOutput("a", Pcm(), "audio/mpeg", None)
    assert file.goes_on_with("audio/mpeg", None)
    assert not file.goes_on_with("audio/flac", None)
