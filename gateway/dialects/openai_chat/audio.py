"""Sound that Gemini speaks: `audio` of a message, piece by piece in a stream."""

import wave
from base64 import b64decode, b64encode
from io import BytesIO

from gateway.dialects.openai_chat.choice import Choice
from gateway.dialects.openai_chat.encoders import ENCODERS, Encoder, Pcm, Sound, sealed
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


class Audio:
    """The sound of one choice on its way into the client's format.

    *sound* says how its samples are to be read; None for a file of the type *kind*. The first delta
    alone has its id: OpenAI's own client joins the texts of all of them.
    """

    __slots__ = ("_encoder", "_head", "_kind", "_rest", "_sound", "_unit", "_waiting")

    def __init__(self, name: str, encoder: Encoder, kind: str, sound: Sound | None) -> None:
        self._head: Json = {"id": name}
        self._encoder = encoder
        self._kind, self._sound = kind, sound
        self._unit = 2 * sound.channels if sound is not None else 1
        self._waiting = b""
        self._rest = b""

    def goes_on_with(self, kind: str, sound: Sound | None) -> bool:
        """Tell whether a piece of *kind* and *sound* belongs to the same sound."""
        return kind == self._kind if sound is None else sound == self._sound

    def feed(self, data: bytes) -> list[Json]:
        """Give the delta of *data*, which may end within a sample."""
        data = self._waiting + data
        whole = len(data) // self._unit * self._unit
        self._waiting = data[whole:]
        encoded = self._rest + (self._encoder.encode(data[:whole]) if whole else b"")
        # Whole groups of three bytes, so that the pieces may be joined before they are decoded.
        whole = len(encoded) // 3 * 3
        self._rest = encoded[whole:]
        if not whole:
            return []
        return [{"audio": self._delta(encoded[:whole])}]

    def end(self) -> Json:
        """Give the last `audio` delta."""
        return self._delta(self._rest + self._encoder.end())

    def _delta(self, encoded: bytes) -> Json:
        head, self._head = self._head, {}
        return {**head, "data": b64encode(encoded).decode()}


def audio(choice: Choice, part: Json) -> list[Json]:
    """Give the delta of a sound part; a format that cannot be had goes out as it came."""
    blob = part["inlineData"]
    kind, _, parameters = blob["mimeType"].lower().partition(";")
    data = b64decode(blob["data"])
    sound, data = _samples(kind, parameters, data)
    if choice.audio is None:
        options = choice.options
        name = f"audio_{options.exchange_id}_{choice.index}"
        if sound is not None:
            choice.audio = Audio(name, ENCODERS[options.audio_format](sound), kind, sound)
        elif _FORMATS.get(kind) == options.audio_format:
            choice.audio = Audio(name, Pcm(), kind, None)
    if choice.audio is None or not choice.audio.goes_on_with(kind, sound):
        choice.add_part(part)
        return choice.native(part)
    return choice.audio.feed(data)


def last_audio(choice: Choice) -> list[Json]:
    """Give the delta that ends the sound of *choice*: what was written is its transcript.

    Nothing is kept here that a later request could refer to, so it expires at once.
    """
    if choice.audio is None:
        return []
    transcript = "".join(text for text, is_written in choice.pieces if is_written)
    facts = {"transcript": transcript, "expires_at": choice.options.created}
    return [{"audio": {**choice.audio.end(), **facts}}]


def join(deltas: list[Json]) -> Json:
    """Give the `audio` of the whole message that came as *deltas*."""
    whole = {name: value for delta in deltas for name, value in delta.items()}
    data = b64decode("".join(delta["data"] for delta in deltas))
    return {**whole, "data": b64encode(sealed(data)).decode()}


def _samples(kind: str, parameters: str, data: bytes) -> tuple[Sound | None, bytes]:
    """Give how the 16 bit samples in *data* are to be read, and them; None if it holds none."""
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
