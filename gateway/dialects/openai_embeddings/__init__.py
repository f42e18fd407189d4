"""OpenAI's embeddings."""

from collections.abc import Mapping

from gateway.dialects.openai_chat.errors import encode_error, render
from gateway.dialects.openai_embeddings import request
from gateway.dialects.openai_embeddings.reply import EmbeddingsReply
from gateway.errors import GatewayError
from gateway.exchange import Blob, Dialect, Exchange, Json, Known, Notes, Reply, UpstreamCall


class OpenAIEmbeddings:
    """The dialect of `/v1/embeddings`; nothing is streamed."""

    __slots__ = ("end", "has_messages", "keepalive", "name")

    def __init__(self) -> None:
        self.name = "openai_embeddings"
        self.has_messages = False
        self.end = b""
        self.keepalive: Json = {}

    def check(self, payload: Json) -> None:
        """Raise `BadRequest` with *param* for what is missing or of a wrong type."""
        request.check(payload)

    def cached_content(self, payload: Json) -> None:
        """Return None: no media are uploaded."""
        del payload

    def memory_keys(self, payload: Json, media: Mapping[tuple[int, int], Blob]) -> list[str]:
        """Return no keys: nothing is remembered of texts."""
        del payload, media
        return []

    def lost_keys(self, payload: Json, memories: Mapping[str, bytes]) -> list[str]:
        """Return no keys: see `memory_keys`."""
        del payload, memories
        return []

    def call(self, payload: Json, known: Known, notes: Notes) -> UpstreamCall:
        """Translate the checked *payload* into the upstream call."""
        return request.call(payload, known, notes)

    def reply(self, call: UpstreamCall, payload: Json, known: Known) -> Reply:
        """Return the translator of the reply."""
        del known
        return EmbeddingsReply(call, payload)

    def client_field(self, exchange: Exchange, field: str) -> str:
        """Return the field within the payload for Gemini's *field*."""
        return request.client_field(exchange.payload, field)

    def render(self, error: GatewayError) -> Json:
        """Return the client's error body."""
        return render(error)

    def encode_error(self, error: GatewayError) -> bytes:
        """Return the frame that reports *error*."""
        return encode_error(error)


DIALECT: Dialect = OpenAIEmbeddings()
