"""Reads one upstream answer: events in batches, one batch per read from the socket.

The idle limit wakes the reader by setting the stream's exception, because aiohttp's own client
would wait for ever on a broken chunk size.
"""

import asyncio
from typing import Any

import aiohttp
import orjson

from gateway.errors import UpstreamError, UpstreamTimeout, UpstreamTruncated
from gateway.exchange import Json
from gateway.sse import SSEDecoder
from gateway.upstream.errors import empty_answer, fault_of_error, fault_of_status
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.google_error import Redact
from gateway.upstream.idle_timer import IdleTimer
from gateway.upstream.request import READ_BYTES, Response

MAX_WHOLE_BYTES = 64 * 1024 * 1024
# Eight large pictures, or half an hour of speech, are a third of it. What has come of a stream is
# kept to its end, so that an endless one would fill the memory.
MAX_STREAM_BYTES = 512 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
# A picture, not text: it is held whole whatever its client reads.
LARGE_BYTES = 32_768
_TOO_LARGE = "Gemini sent an answer that is larger than this gateway relays."


class NotAnEvent(UpstreamError):
    """The data is JSON, but no object and so no event."""


class Answer:
    """The events of *response*, in batches. Made after the head; `begin` waits for the first.

    A class rather than a generator, whose set-up and end would cost every whole answer time.
    """

    __slots__ = (
        "_decoder",
        "_first",
        "_idle_s",
        "_is_reading",
        "_redact",
        "_response",
        "_stream",
        "_taken",
        "_timer",
    )

    def __init__(self, response: Response, *, stream: bool, idle_s: float, redact: Redact) -> None:
        self._response = response
        self._stream = stream
        self._idle_s = idle_s
        self._is_reading = False
        self._taken = 0
        self._redact = redact
        if stream:
            self._decoder = SSEDecoder()
        self._first: list[Json] = []
        self._timer: IdleTimer | None = None

    async def begin(self) -> Json:
        """Read up to the first event and return it.

        Raises `Failed` for a refusal, an error event, no event at all, or data that is none.
        """
        if self._response.status != 200:
            body = await self._read_body(MAX_ERROR_BYTES)
            retry_after = self._response.headers.get("Retry-After")
            raise Failed(fault_of_status(self._response.status, body, self._redact, retry_after))
        try:
            self._first = await (self._first_batch() if self._stream else self._whole_body())
        except (orjson.JSONDecodeError, UpstreamTruncated, NotAnEvent):
            raise Failed(empty_answer()) from None
        except UpstreamError as error:
            # Too large, and another attempt would be, too.
            raise Failed(Fault(Kind.GARBAGE, error), final=True) from None
        if not self._first:
            raise Failed(empty_answer())
        self._refuse_errors(self._first)
        return self._first[0]

    async def is_single(self) -> bool:
        """Tell whether the first event is the only one; reads on until another one arrives.

        Raises `Failed`, as `begin` does: nothing has been sent yet. An error in the read of the
        first event is raised as it is.
        """
        if not self._stream:
            return len(self._first) == 1
        while len(self._first) == 1 and (data := await self._response.content.read(READ_BYTES)):
            try:
                events = [_unwrapped(orjson.loads(payload)) for payload in self._decoder.feed(data)]
            except (orjson.JSONDecodeError, NotAnEvent):
                raise Failed(empty_answer()) from None
            self._refuse_errors(events)
            self._first += events
        return len(self._first) == 1

    def _refuse_errors(self, events: list[Json]) -> None:
        for event in events:
            if "error" in event:
                raise Failed(fault_of_error(event["error"], self._redact))

    def __aiter__(self) -> "Answer":
        """Return itself: the events can be read only once."""
        return self

    async def __anext__(self) -> list[Json]:
        """Return the events of one read, beginning with the first ones.

        Raises `UpstreamError` when the answer breaks off.
        """
        if self._first:
            first, self._first = self._first, []
            return first
        if not self._stream:
            raise StopAsyncIteration
        if self._timer is None:
            self._timer = IdleTimer(asyncio.get_running_loop(), self._idle_s, self._expire)
        content, timer = self._response.content, self._timer
        self._is_reading = True
        timer.touch()
        try:
            while data := await content.read(READ_BYTES):
                self._taken += len(data)
                if self._taken > MAX_STREAM_BYTES:
                    raise UpstreamError(_TOO_LARGE)
                if events := self._events([], self._decoder.feed(data)):
                    return events
                # While waiting, nothing that was read is kept alive.
                del data
                self._expect(self._decoder.unfinished_bytes)
            if events := self._events([], self._decoder.finish()):
                return events
        except aiohttp.ClientError as error:
            # The stream keeps the exception, and its frames hold the stream.
            error.with_traceback(None)
            raise UpstreamTruncated("The upstream broke off in the middle.") from None
        finally:
            self._is_reading = False
        raise StopAsyncIteration

    def unread(self) -> list[Json]:
        """Return the first events if they have not been read yet."""
        return self._first

    def close(self) -> None:
        """Cut the connection, unless the answer was read to its end: then it is free."""
        if self._timer is not None:
            self._timer.stop()
            # The timer holds this answer, a cycle that would wait for the garbage collector.
            self._timer = None
        self._response.close()

    def _events(self, events: list[Json], payloads: list[bytes]) -> list[Json]:
        """Return *events* and those in *payloads*; an error there is raised after those before."""
        for payload in payloads:
            try:
                event = orjson.loads(payload)
                if type(event) is not dict:
                    event = _unwrapped(event)
            except (orjson.JSONDecodeError, NotAnEvent):
                error: Exception = UpstreamError("The upstream sent an event that is not JSON.")
            else:
                if "error" not in event:
                    events.append(event)
                    continue
                error = fault_of_error(event["error"], self._redact).error
            if not events:
                raise error
            # Raised by the next read.
            self._response.content.set_exception(error)
            break
        return events

    async def _first_batch(self) -> list[Json]:
        content = self._response.content
        while data := await content.read(READ_BYTES):
            if payloads := self._decoder.feed(data):
                return self._opening(payloads)
            self._expect(self._decoder.unfinished_bytes)
        return self._opening(self._decoder.finish())

    def _opening(self, payloads: list[bytes]) -> list[Json]:
        """Parse the first *payloads*: whatever follows an event breaks a stream that has begun."""
        if not payloads:
            return []
        first = _unwrapped(orjson.loads(payloads[0]))
        return [first] if "error" in first else self._events([first], payloads[1:])

    async def _whole_body(self) -> list[Json]:
        body = await self._read_body(MAX_WHOLE_BYTES)
        if len(body) >= MAX_WHOLE_BYTES:
            raise UpstreamError(_TOO_LARGE)
        parsed = orjson.loads(body)
        events = parsed if isinstance(parsed, list) else [parsed]
        return [event for event in events if isinstance(event, dict)]

    async def _read_body(self, limit: int) -> bytes:
        """Read the body, up to *limit* bytes."""
        content = self._response.content
        pieces, size = [], 0
        while size < limit and not content.at_eof() and (data := await content.readany()):
            pieces.append(data)
            size += len(data)
            self._expect(size)
        return b"".join(pieces)

    def _expect(self, unfinished_bytes: int) -> None:
        """Receive faster once *unfinished_bytes* show that an event or a body is large."""
        if unfinished_bytes > LARGE_BYTES:
            self._response.widen()

    def _expire(self) -> None:
        if not self._is_reading and self._timer is not None:
            # The client is slow, so nobody is reading from upstream.
            self._timer.restart()
            return
        silence = UpstreamTimeout(f"The upstream was silent for {self._idle_s:g} s.")
        self._response.content.set_exception(silence)


def _unwrapped(event: Any) -> Json:
    """Return *event* as an object: Google also sends error bodies as a list of one."""
    if isinstance(event, list) and event:
        event = event[0]
    if not isinstance(event, dict):
        raise NotAnEvent("The upstream sent an event that is not an object.")
    return event
