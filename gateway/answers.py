"""How answers leave: the headers every one of them carries, the stream, whole JSON."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import orjson
from aiohttp import ClientConnectionResetError, HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
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


class WholeAnswer(web.Response):
    """An answer in one piece, head and body in one write.

    aiohttp looks for cookies, compression, bodies of other kinds and old clients before it writes.
    An answer that has none of these, which is nearly every one, is written at once.
    """

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send everything, or, where more is to be looked at, what aiohttp sends first."""
        if not self._is_plain(request):
            return await super().prepare(request)
        await request._prepare_hook(self)  # noqa: SLF001 - others may have a say, as in aiohttp
        body, headers = self._body, self._headers
        assert isinstance(body, bytes)
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
        headers[hdrs.DATE] = rfc822_formatted_time()
        fields = "\r\n".join(map(": ".join, headers.items()))
        if not fields.count("\n") == fields.count("\r") == len(headers) - 1:
            # What would split it in two, aiohttp refuses.
            return await super().prepare(request)
        self._keep_alive = self._eof_sent = True
        head = f"HTTP/1.1 {self._status} {self._reason}\r\n{fields}\r\n\r\n"
        await _send(request.writer, head.encode() + body)
        return None

    def _is_plain(self, request: web.BaseRequest) -> bool:
        return (
            not self.prepared
            and type(self._body) is bytes
            and request.method != hdrs.METH_HEAD
            and request.keep_alive
            and request.version == HttpVersion11
            and self._keep_alive is None
            and not (self._cookies or self._compression or self._chunked)
        )


async def _send(writer: AbstractStreamWriter, data: bytes) -> None:
    transport = writer.transport
    if transport is None or transport.is_closing():
        raise ClientConnectionResetError("The client is gone.")
    writer.output_size += len(data)
    transport.write(data)
    await writer.drain()


def json_response(body: Json, exchange: Exchange, status: int = 200) -> web.Response:
    """Give *body* as JSON with the exchange's headers."""
    response = WholeAnswer(body=orjson.dumps(body), status=status, headers=_JSON_HEADERS)
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
