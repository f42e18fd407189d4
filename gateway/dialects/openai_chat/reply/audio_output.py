"""Sound in the client's format, in pieces that may be joined before they are decoded."""

from base64 import b64encode

from gateway.dialects.openai_chat.reply.encoders import Encoder, Sound
from gateway.exchange import Json


class AudioOutput:
    """The sound of one choice, being encoded in the client's format.

    *sound* is the format of its samples; None for a file of the type *kind*. Only the first delta
    has an id: OpenAI's own client joins the texts of all of them.
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
        """Tell whether a piece of *kind* and *sound* continues the same sound."""
        return kind == self._kind if sound is None else sound == self._sound

    def feed(self, data: bytes) -> list[Json]:
        """Return the delta of *data*, which may end within a sample."""
        data = self._waiting + data
        whole = len(data) // self._unit * self._unit
        self._waiting = data[whole:]
        encoded = self._rest + (self._encoder.encode(data[:whole]) if whole else b"")
        # Groups of three bytes, so that the pieces may be joined before they are decoded.
        whole = len(encoded) // 3 * 3
        self._rest = encoded[whole:]
        if not whole:
            return []
        return [{"audio": self._delta(encoded[:whole])}]

    def end(self) -> Json:
        """Return the last `audio` delta."""
        return self._delta(self._rest + self._encoder.end())

    def _delta(self, encoded: bytes) -> Json:
        head, self._head = self._head, {}
        return {**head, "data": b64encode(encoded).decode()}
