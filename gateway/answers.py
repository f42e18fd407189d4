"""How answers leave: the headers every one of them carries, the stream, whole JSON."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import orjson
from aiohttp import hdrs, web
from aiohttp.typedefs import LooseHeaders
from multidict import istr

from gateway import __version__
from gateway.exchange import Exchange, Json, Notes

# What a client may leave unread in the gateway's own memory, beside what the kernel holds.
MAX_UNSENT_BYTES: Final = 16_384
_MAX_NOTE: Final = 1024
_JSON_HEADERS: Final = {hdrs.CONTENT_TYPE: "application/json"}
# As `istr`, names need not be folded to lower case for every answer.
_REQUEST_ID: Final = istr("x-request-id")
_PROCESSING_MS: Final = istr("openai-processing-ms")
_VERSION: Final = istr("x-gateway-version")
_MODEL: Final = istr("x-gateway-model")


class EventStream(web.StreamResponse):
    """A stream whose head leaves together with its first chunk.

    By the clock *now*: *quiet_since* is when the latest write began that is done, *writing_since*
    when the one did that is not.
    """

    # One write for head plus first chunk: two small ones meet Nagle's algorithm and cost 40 ms
    # with clients that delay their acknowledgements.
    _send_headers_immediately = False

    def __init__(self, now: Callable[[], float], headers: LooseHeaders) -> None:
        super().__init__(headers=headers)
        self._now = now
        self.quiet_since = now()
        self.writing_since: float | None = None

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*; wait for a client that does not read after a quarter of aiohttp's 64 KB."""
        assert self._payload_writer is not None, "prepare() comes first, write_eof() last"
        self.writing_since = began = self._now()
        await self._payload_writer.write(data, LIMIT=MAX_UNSENT_BYTES)  # type: ignore[call-arg]
        self.quiet_since = began
        # A keepalive may be under way, too.
        if self.writing_since == began:
            self.writing_since = None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send *data* and end the stream."""
        self.writing_since = self._now()
        await super().write_eof(data)


def json_response(body: Json, exchange: Exchange, status: int = 200) -> web.Response:
    """Give *body* as JSON with the exchange's headers."""
    response = web.Response(body=orjson.dumps(body), status=status, headers=_JSON_HEADERS)
    stamp(response, exchange)
    return response


def stamp(response: web.StreamResponse, exchange: Exchange) -> None:
    """Put the headers that every answer carries on *response*."""
    headers = response.headers
    headers[_REQUEST_ID] = exchange.id
    headers[_PROCESSING_MS] = str(int((time.monotonic() - exchange.started) * 1000))
    headers[_VERSION] = __version__
    headers[hdrs.SERVER] = "gateway"
    if exchange.headers:
        headers.update(exchange.headers)
    outcome = exchange.outcome
    if outcome.model is not None and outcome.model != exchange.asked:
        headers[_MODEL] = outcome.model
    if hasattr(exchange, "reply") and exchange.reply.sunset is not None:
        headers["Sunset"] = exchange.reply.sunset
    notes = exchange.notes
    if notes.adjusted or notes.dropped:
        headers.update(note_headers(notes))


def note_headers(notes: Notes) -> Mapping[str, str]:
    """Give the headers that tell what was changed and dropped."""
    headers = {}
    if notes.adjusted:
        told = ", ".join(f"{name}={change}" for name, change in notes.adjusted.items())
        headers["x-gateway-adjusted"] = _clean(told)
    if notes.dropped:
        headers["x-gateway-dropped"] = _clean(", ".join(notes.dropped))
    return headers


def _clean(text: str) -> str:
    """Give *text* safe for a header: names of fields come from the client."""
    printable = "".join(c if " " <= c <= "~" else "?" for c in text[: _MAX_NOTE + 1])
    return printable if len(printable) <= _MAX_NOTE else printable[: _MAX_NOTE - 3] + "..."
