"""Payload: reads the body within limits, parses it, and has the dialect check its shape.

The limits come first: size, time, encoding and depth. Nesting deeper than `MAX_DEPTH` could be
parsed but not written again, and would break any recursive walk.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import msgspec
import orjson
import structlog
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler

from gateway.buffers import Buffers, Share
from gateway.errors import BadRequest, RequestTimedOut, TooLarge, UnsupportedEncoding
from gateway.exchange import Json
from gateway.keys import EXCHANGE, SETTINGS
from gateway.process.memory_room import buffered_bytes
from gateway.process.threads import in_thread

MAX_DEPTH = 64
# Parsing a megabyte takes milliseconds, during which nobody else would be served.
THREAD_FROM_BYTES = 1_048_576
# Each costs 100 bytes, and a tenth of a microsecond in which the interpreter serves nobody else.
# Telling them from signs inside texts would take as long; no model reads so many values.
MOST_VALUES = 2_000_000
_NO_STRUCTURE = bytes(set(range(256)) - set(b",:[{"))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

log = structlog.get_logger()


class Payload:
    """Fills `exchange.payload` with the checked JSON object of the body."""

    requires = ()
    provides = ("payload",)

    def __init__(self) -> None:
        self._max_bytes = 0
        self._timeout_s = 0.0
        self._buffers = Buffers(0)

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Take the limits from the settings."""
        server = app[SETTINGS].server
        self._timeout_s = server.body_timeout_s
        most = server.max_buffered_bytes or buffered_bytes(server.workers)
        self._buffers = Buffers(most)
        # A larger body would be refused for ever as one too many.
        self._max_bytes = min(server.max_body_bytes, most)
        if self._max_bytes < server.max_body_bytes:
            log.warning("bodies_limited_by_memory", max_body_bytes=self._max_bytes)
        yield

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse with 400, 408, 413 or 415 what cannot be read, naming what to change."""
        exchange = request[EXCHANGE]
        # Nobody is authenticated yet where a chain has licenses behind this middleware.
        share = Share(exchange.license.id if hasattr(exchange, "license") else "")
        exchange.hold = partial(self._buffers.hold, share)
        exchange.release = partial(self._buffers.release, share)
        try:
            exchange.payload = payload = await self._payload(request, share)
            if request.match_info:
                _merge_address(payload, request.match_info)
            exchange.dialect.check(payload)
            return await handler(request)
        finally:
            self._buffers.release(share)

    async def _payload(self, request: web.Request, share: Share) -> Json:
        """Read and parse the body; the raw bytes are freed as soon as this returns."""
        encoding = request.headers.get(hdrs.CONTENT_ENCODING)
        if encoding is not None and encoding.strip().lower() not in {"identity", ""}:
            raise UnsupportedEncoding("Send the body as it is, without Content-Encoding.")
        if (request.content_length or 0) > self._max_bytes:
            raise self._too_large()
        body = await self._read_body(request, share)
        if len(body) < THREAD_FROM_BYTES:
            return parse(body)
        # If the client leaves, the bytes are held, and counted, until the thread ends.
        return await in_thread(parse, body)

    async def _read_body(self, request: web.Request, share: Share) -> bytes | bytearray:
        expected = request.headers.get(hdrs.EXPECT)
        is_asked = expected is not None and expected.lower() == "100-continue"
        if is_asked and request.version >= HttpVersion11:
            await request.writer.write(CONTINUE)
            # Otherwise aiohttp takes the head of the answer for sent already.
            request.writer.output_size = 0
        try:
            if request.content.is_eof():
                # It came along with the head, as nearly all bodies do: no need to wait.
                return self._reserve(request.content.read_nowait(), share)
            async with asyncio.timeout(self._timeout_s):
                return await self._collect(request, share)
        except TimeoutError:
            raise RequestTimedOut(
                f"The body did not arrive within {self._timeout_s:g} seconds."
            ) from None
        except web.RequestPayloadError:
            raise BadRequest("The body ended early or its chunks are malformed.") from None

    def _reserve(self, data: bytes, share: Share) -> bytes:
        if share.size + len(data) > self._max_bytes:
            raise self._too_large()
        self._buffers.hold(share, len(data))
        return data

    async def _collect(self, request: web.Request, share: Share) -> bytearray:
        body = bytearray()
        while data := await request.content.readany():
            body += self._reserve(data, share)
        return body

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is larger than {self._max_bytes:,} bytes; send large media as URLs."
        )


def _merge_address(payload: Json, address: Mapping[str, str]) -> None:
    """Merge the parameters of the *address*, such as the model on Gemini's routes, into *payload*.

    Raises `BadRequest` where both name one and differ.
    """
    for name, value in address.items():
        if payload.get(name) not in (None, value, f"models/{value}"):
            raise BadRequest("This differs from the value in the address.", param=name)
        payload[name] = value


def parse(body: bytes | bytearray) -> Json:
    """Return the JSON object in *body*; raise `BadRequest` that says what it is instead."""
    if not body or body.isspace():
        raise BadRequest("The body is empty; send a JSON object.")
    large = len(body) >= THREAD_FROM_BYTES
    if large and len(body.translate(None, _NO_STRUCTURE)) > MOST_VALUES:
        raise BadRequest(
            "The body contains too many values, or texts with too many commas or braces."
        )
    try:
        payload = _loads_large(body) if large else orjson.loads(body)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"The body is not valid JSON: {error.msg} ({place}).") from None
    if not isinstance(payload, dict):
        raise BadRequest('The body must be a JSON object: {"model": ..., "messages": [...]}.')
    # Few brackets cannot nest deeply, so small bodies are not walked. In large ones, which are
    # mostly media, counting would take longer than walking.
    if (large or body.count(b"{") + body.count(b"[") > MAX_DEPTH) and too_deep(payload):
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    return payload


def _loads_large(body: bytes | bytearray) -> Any:
    """Parse *body* as `orjson` does, but without a second copy and in a third of the time.

    What `msgspec` refuses, and integers that it accepts but nobody could write again, are left to
    `orjson`.
    """
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return orjson.loads(body)
    return orjson.loads(body) if _has_large_number(payload) else payload


def _has_large_number(payload: Any) -> bool:
    """Tell whether an integer in *payload* has more than 64 bits."""
    level = [payload]
    while level:
        inner = [
            value
            for outer in level
            for value in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if any(type(value) is int and not -(2**63) <= value < 2**64 for value in inner):
            return True
        level = [value for value in inner if isinstance(value, (dict, list))]
    return False


def too_deep(payload: Any) -> bool:
    """Tell whether *payload* nests deeper than `MAX_DEPTH`, level by level, without recursion."""
    level = [payload]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True
