"""How answers are sent: the headers that all of them carry, streams, whole JSON bodies."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import orjson
from aiohttp import ClientConnectionResetError, HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_writer import StreamWriter
from aiohttp.typedefs import LooseHeaders
from multidict import istr

from gateway import __version__
from gateway.exchange import Exchange, Json, Notes
from gateway.network.socket_buffers import Widening

# Unread bytes of one client that the gateway itself buffers, besides the kernel's socket buffer.
MAX_UNSENT_BYTES: Final = 16_384
# A picture, not text.
LARGE_BYTES: Final = 65_536
_MAX_NOTE: Final = 1024
_JSON_HEADERS: Final = {hdrs.CONTENT_TYPE: "application/json"}
# `istr` saves folding the names to lower case for every answer.
_REQUEST_ID: Final = istr("x-request-id")
_PROCESSING_MS: Final = istr("openai-processing-ms")
_VERSION: Final = istr("x-gateway-version")
_MODEL: Final = istr("x-gateway-model")


class EventStream(web.StreamResponse):
    """A stream whose head is sent together with its first chunk.

    Two small writes run into Nagle's algorithm and cost 40 ms with clients that delay their
    acknowledgements. *quiet_since* is when the latest finished write began, *writing_since* when
    the unfinished one did, both by the clock *now*.
    """

    # Applies to what aiohttp writes by itself, too.
    _send_headers_immediately = False

    def __init__(self, now: Callable[[], float], headers: LooseHeaders) -> None:
        super().__init__(headers=headers)
        self._now = now
        # Bytes to be sent before the next chunk; None where aiohttp does the writing.
        self._head: bytes | None = None
        self.quiet_since = now()
        self.writing_since: float | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Prepare the head; leave clients that need more than the plain case to aiohttp."""
        if request.version < HttpVersion11:
            # Without chunked encoding only the end of the connection ends the body.
            self.force_close()
        if not _is_plain(self, request):
            return await super().prepare(request)
        await request._prepare_hook(self)  # noqa: SLF001 - others may have a say, as in aiohttp
        self._headers[hdrs.TRANSFER_ENCODING] = "chunked"
        self._head = _head(self)
        if self._head is None:
            return await super().prepare(request)
        self._keep_alive = True
        self._req, self._payload_writer = request, request.writer
        return self._payload_writer

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*; wait for a slow client after a quarter of the 64 KB that aiohttp buffers."""
        writer = self._payload_writer
        assert writer is not None, "prepare() comes first, write_eof() last"
        if not data:
            # An empty chunk would end the body.
            return
        self.writing_since = began = self._now()
        if len(data) > LARGE_BYTES:
            _widen(writer)
        if self._head is None:
            await writer.write(data, LIMIT=MAX_UNSENT_BYTES)  # type: ignore[call-arg]
        else:
            head, self._head = self._head, b""
            await _send(writer, b"".join((head, b"%x\r\n" % len(data), data, b"\r\n")))
        self.quiet_since = began
        # A keepalive may have begun a write of its own.
        if self.writing_since == began:
            self.writing_since = None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send *data* and end the stream."""
        self.writing_since = self._now()
        if self._head is None or self._payload_writer is None:
            await super().write_eof(data)
            return
        last = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        writer, self._payload_writer = self._payload_writer, None
        self._eof_sent, self._req = True, None
        await _send(writer, b"%b%b0\r\n\r\n" % (self._head, last))


class WholeAnswer(web.Response):
    """A complete answer whose head and body are sent in one write."""

    # `web.Response` takes these as arguments; aiohttp reads them to compress an answer.
    _zlib_executor_size = 1024
    _zlib_executor = None

    def __init__(self, body: bytes, status: int, headers: LooseHeaders) -> None:
        # Skips `web.Response.__init__`, which examines texts, charsets and other kinds of bodies.
        web.StreamResponse.__init__(self, status=status, headers=headers)
        self.body = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send everything; leave answers that are not plain to aiohttp."""
        body = self._body
        if type(body) is bytes and len(body) > LARGE_BYTES:
            _widen(request.writer)
        if type(body) is not bytes or not _is_plain(self, request):
            return await super().prepare(request)
        await request._prepare_hook(self)  # noqa: SLF001 - others may have a say, as in aiohttp
        self._headers[hdrs.CONTENT_LENGTH] = str(len(body))
        head = _head(self)
        if head is None:
            return await super().prepare(request)
        self._keep_alive = self._eof_sent = True
        await _send(request.writer, head + body)
        return None


def _is_plain(response: web.StreamResponse, request: web.BaseRequest) -> bool:
    """Tell whether head and body are all there is to send, which is nearly always the case.

    aiohttp looks for cookies, compression and old clients in every answer.
    """
    return (
        not response.prepared
        and request.method != hdrs.METH_HEAD
        and request.keep_alive
        and request.version == HttpVersion11
        and response._keep_alive is None  # noqa: SLF001 - `force_close` was not called
        # Their properties take a call each, and `cookies` makes some where there are none.
        and not (response._cookies or response._compression or response._chunked)  # noqa: SLF001
    )


def _head(response: web.StreamResponse) -> bytes | None:
    """Return the head as it is sent; None if a line break in a header would split it in two."""
    headers = response.headers
    headers[hdrs.DATE] = rfc822_formatted_time()
    fields = "\r\n".join(map(": ".join, headers.items()))
    if not fields.count("\n") == fields.count("\r") == len(headers) - 1:
        return None
    head = f"HTTP/1.1 {response.status} {response.reason}\r\n{fields}\r\n\r\n"
    # A reflected header may hold bytes that are not UTF-8, which aiohttp leaves out as well.
    return head.encode(errors="ignore")


async def _send(writer: AbstractStreamWriter, data: bytes) -> None:
    transport = writer.transport
    if transport is None or transport.is_closing():
        raise ClientConnectionResetError("The client is gone.")
    writer.output_size += len(data)
    transport.write(data)
    await writer.drain()


def _widen(writer: AbstractStreamWriter) -> None:
    """Use a large socket buffer for what is written next: with a small one it takes seconds."""
    if isinstance(writer, StreamWriter) and isinstance(writer.protocol, Widening):
        writer.protocol.widen()


def json_response(body: Json, exchange: Exchange, status: int = 200) -> web.Response:
    """Return *body* as JSON with the exchange's headers."""
    response = WholeAnswer(orjson.dumps(body), status, _JSON_HEADERS)
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
    model = exchange.outcome.model
    if hasattr(exchange, "reply"):
        # Google redirects names, too: `gemini-flash-latest`, but also some that it has shut down.
        model = exchange.reply.model or model
        if exchange.reply.sunset is not None:
            headers["Sunset"] = exchange.reply.sunset
    if model is not None and model != exchange.requested_model:
        headers[_MODEL] = model
    notes = exchange.notes
    if notes.adjusted or notes.dropped:
        headers.update(note_headers(notes))


def note_headers(notes: Notes) -> Mapping[str, str]:
    """Return the headers that report which fields were changed and dropped."""
    headers = {}
    if notes.adjusted:
        adjusted = ", ".join(f"{name}={change}" for name, change in notes.adjusted.items())
        headers["x-gateway-adjusted"] = _clean(adjusted)
    if notes.dropped:
        headers["x-gateway-dropped"] = _clean(", ".join(notes.dropped))
    return headers


def _clean(text: str) -> str:
    """Return *text* safe for a header: field names come from the client."""
    printable = "".join(c if " " <= c <= "~" else "?" for c in text[: _MAX_NOTE + 1])
    return printable if len(printable) <= _MAX_NOTE else printable[: _MAX_NOTE - 3] + "..."
