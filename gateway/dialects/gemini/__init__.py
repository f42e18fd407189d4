"""Gemini's own API, for programs that speak it: requests are passed on unchanged."""

from collections.abc import Mapping

from gateway.dialects.gemini import request
from gateway.dialects.gemini.errors import encode_error, render
from gateway.dialects.gemini.reply import GeminiReply
from gateway.errors import GatewayError
from gateway.exchange import Blob, Dialect, Exchange, Json, Known, Notes, Reply, UpstreamCall


class Gemini:
    """The dialect of `/v1beta/models/{model}:{action}`."""

    __slots__ = ("end", "has_messages", "keepalive", "name")

    def __init__(self) -> None:
        self.name = "gemini"
        self.has_messages = False
        self.end = b""
        # The native protocol has no chunk without content: this becomes an empty line.
        self.keepalive: Json = {}

    def check(self, payload: Json) -> None:
        """Raise `BadRequest` with *param* for what the gateway itself could not work with."""
        request.check(payload)

    def cached_content(self, payload: Json) -> None:
        """Return None: no media are uploaded."""
        del payload

    def memory_keys(self, payload: Json, media: Mapping[tuple[int, int], Blob]) -> list[str]:
        """Return no keys: these clients keep signatures themselves."""
        del payload, media
        return []

    def lost_keys(self, payload: Json, memories: Mapping[str, bytes]) -> list[str]:
        """Return no keys: see `memory_keys`."""
        del payload, memories
        return []

    def call(self, payload: Json, known: Known, notes: Notes) -> UpstreamCall:
        """Return *payload* as the upstream call."""
        del notes
        return request.call(payload, known)

    def reply(self, call: UpstreamCall, payload: Json, known: Known) -> Reply:
        """Return the reader of the reply."""
        del payload, known
        return GeminiReply(call)

    def client_field(self, exchange: Exchange, field: str) -> str:
        """Return *field*: these clients use Gemini's own names."""
        del exchange
        return field

    def render(self, error: GatewayError) -> Json:
        """Return the client's error body."""
        return render(error)

    def encode_error(self, error: GatewayError) -> bytes:
        """Return the frame that reports *error* in mid-stream."""
        return encode_error(error)


DIALECT: Dialect = Gemini()
