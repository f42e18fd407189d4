"""OpenAI's chat completions.

`request` makes the upstream call of a payload, with its `tools` and JSON schemas (`schema`);
`reply` makes chunks of Gemini's events. What both need is in the modules beside them: `turns` links
the answer of one request to the history in the next.
"""

from collections.abc import Mapping

from gateway.dialects.openai_chat import request
from gateway.dialects.openai_chat.checks import check
from gateway.dialects.openai_chat.client_fields import client_field
from gateway.dialects.openai_chat.errors import encode_error, render
from gateway.dialects.openai_chat.reply import ChatReply
from gateway.errors import GatewayError
from gateway.exchange import Blob, Dialect, Exchange, Json, Known, Notes, Reply, UpstreamCall


class OpenAIChat:
    """The dialect of `/v1/chat/completions`."""

    __slots__ = ("end", "has_messages", "keepalive", "name")

    def __init__(self) -> None:
        self.name = "openai_chat"
        self.has_messages = True
        self.end = b"data: [DONE]\n\n"
        self.keepalive: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}

    def check(self, payload: Json) -> None:
        """Raise `BadRequest` with *param* for what is missing or of a wrong type."""
        check(payload)

    def cached_content(self, payload: Json) -> tuple[str, str] | None:
        """Return the field that names the cached content *payload* builds on, and that name."""
        return request.cached_content(payload)

    def memory_keys(self, payload: Json, media: Mapping[tuple[int, int], Blob]) -> list[str]:
        """Return the keys of the memories that translating *payload* would use."""
        return request.memory_keys(payload, media)

    def lost_keys(self, payload: Json, memories: Mapping[str, bytes]) -> list[str]:
        """Return further keys: of calls that *memories* does not hold under their ids."""
        return request.lost_keys(payload, memories)

    def call(self, payload: Json, known: Known, notes: Notes) -> UpstreamCall:
        """Translate the checked *payload* into the upstream call."""
        return request.call(payload, known, notes)

    def reply(self, call: UpstreamCall, payload: Json, known: Known) -> Reply:
        """Return the translator of the reply."""
        return ChatReply(call, payload, known)

    def client_field(self, exchange: Exchange, field: str) -> str:
        """Return the path within the payload for Gemini's *field*."""
        return client_field(exchange.payload, exchange.media, exchange.call, field)

    def render(self, error: GatewayError) -> Json:
        """Return the client's error body."""
        return render(error)

    def encode_error(self, error: GatewayError) -> bytes:
        """Return the frame that reports *error* in mid-stream."""
        return encode_error(error)


DIALECT: Dialect = OpenAIChat()
