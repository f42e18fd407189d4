"""Sound that Gemini speaks: `audio` of a message, piece by piece in a stream."""

import wave
from base64 import b64decode, b64encode
from io import BytesIO

from gateway.dialects.openai_chat.audio_output import AudioOutput
from gateway.dialects.openai_chat.choice import Choice
from gateway.dialects.openai_chat.encoders import ENCODERS, Pcm, Sound, sealed
from gateway.exchange import Json

_PCM = frozenset({"audio/l16", "audio/pcm"})
# What a file of these types is in OpenAI's words: no need to encode it when that is asked for.
_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/aac": "aac",
    "audio/flac": "flac",
}
# What Gemini's speech models announce (recorded: `audio/L16;codec=pcm;rate=24000`).
_RATE = 24_000
_MAX_RATE = 384_000


def audio(choice: Choice, part: Json) -> list[Json]:
    """Return the delta of a sound part; a format that cannot be had goes out as it came."""
    blob = part["inlineData"]
    kind, _, parameters = blob["mimeType"].lower().partition(";")
    data = b64decode(blob["data"])
    sound, data = _samples(kind, parameters, data)
    if choice.audio is None:
        options = choice.options
        name = f"audio_{options.exchange_id}_{choice.index}"
        if sound is not None:
            choice.audio = AudioOutput(name, ENCODERS[options.audio_format](sound), kind, sound)
        elif _FORMATS.get(kind) == options.audio_format:
            choice.audio = AudioOutput(name, Pcm(), kind, None)
    if choice.audio is None or not choice.audio.goes_on_with(kind, sound):
        choice.add_part(part)
        return choice.native(part)
    return choice.audio.feed(data)


def last_audio(choice: Choice) -> list[Json]:
    """Return the delta that ends the sound of *choice*: what was written is its transcript.

    Nothing is kept here that a later request could refer to, so it expires at once.
    """
    if choice.audio is None:
        return []
    transcript = "".join(text for text, is_written in choice.pieces if is_written)
    facts = {"transcript": transcript, "expires_at": choice.options.created}
    return [{"audio": {**choice.audio.end(), **facts}}]


def join(deltas: list[Json]) -> Json:
    """Return the `audio` of the whole message that came as *deltas*."""
    whole = {name: value for delta in deltas for name, value in delta.items()}
    data = b64decode("".join(delta["data"] for delta in deltas))
    return {**whole, "data": b64encode(sealed(data)).decode()}


def _samples(kind: str, parameters: str, data: bytes) -> tuple[Sound | None, bytes]:
    """Return how the 16 bit samples in *data* are to be read, and them; None if it holds none."""
    if kind in _PCM:
        values = dict(item.strip().split("=", 1) for item in parameters.split(";") if "=" in item)
        sound = Sound(int(values.get("rate", _RATE)), int(values.get("channels", 1)))
        if not (0 < sound.rate <= _MAX_RATE and sound.channels in {1, 2}):
            raise ValueError(f"no sound is like this: {sound}")
        return sound, data
    return _wav_samples(data) if _FORMATS.get(kind) == "wav" else (None, data)


def _wav_samples(data: bytes) -> tuple[Sound | None, bytes]:
    try:
        with wave.open(BytesIO(data)) as file:
            if file.getsampwidth() == 2:
                sound = Sound(file.getframerate(), file.getnchannels())
                return sound, file.readframes(file.getnframes())
    except (EOFError, wave.Error):
        # A kind of WAV that the library cannot read may be one that the client can.
        pass
    return None, data
