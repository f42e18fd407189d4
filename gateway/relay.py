"""The handler: one exchange goes up, its reply comes down, event by event.

Streamed and whole answers take the same way: all events go through `reply.feed`, `reply.finish`
closes, and a whole answer is the collected chunks. All available events are read at once and
written at once.

The commit point of a stream is the first upstream event with content. Until then a failure is an
ordinary HTTP error (raised, rendered by `edge`); from then on it is reported in-band. When no
content arrives for `commit_after_s`, the `Pacemaker` commits with the role chunk and keeps the
connection alive.
"""

import asyncio
from typing import Final

from aiohttp import hdrs, web
from multidict import istr

from gateway.calls import setting
from gateway.drain import restarting
from gateway.errors import (
    BadRequest,
    GatewayError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTruncated,
)
from gateway.exchange import Batches, Exchange, Json, Outcome, Reply, UpstreamCall
from gateway.keys import DRAIN, EXCHANGE, PRICES, SETTINGS, UPSTREAM
from gateway.licenses.scope import require_model
from gateway.network.sockets import hold_last_segment
from gateway.pacemaker import Pacemaker
from gateway.process.threads import in_thread
from gateway.records.spending import settle
from gateway.server.answers import EventStream, json_response, stamp

_SSE_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-cache",
    istr("X-Accel-Buffering"): "no",
}
_TOO_DEEP: Final = "Gemini's answer is nested too deeply to be sent."


async def generate(request: web.Request) -> web.StreamResponse:
    """Relay one translated exchange. Raises `GatewayError` before the first byte only."""
    exchange, app = request[EXCHANGE], request.app
    # Whatever the chain is: `LicenseScope` only checks earlier.
    if exchange.license.models:
        require_model(exchange.license, exchange.payload["model"])
    drain = app[DRAIN]
    # Counted by its connection already, unless the drain had begun: then it is refused here.
    task = drain.enter()
    try:
        return await (stream if exchange.call.stream else whole)(request, exchange)
    except BadRequest as error:
        _name_client_field(exchange, error)
        raise
    finally:
        drain.leave(task)
        settle(exchange, app[PRICES])


async def whole(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """Answer with the whole reply in one piece."""
    events: list[Json] = []
    if exchange.finish_media is not None:
        await exchange.finish_media()
    opening = request.app[UPSTREAM].open(exchange.call, exchange.outcome, exchange.notes)
    try:
        async with opening as batches:
            async for batch in batches:
                events += batch
    except BaseException:
        exchange.outcome.unread = (*events, *exchange.outcome.unread)
        raise
    if _has_sound(exchange.call):
        body = await in_thread(_collect, exchange.reply, events)
    else:
        body = _collect(exchange.reply, events)
    try:
        return json_response(body, exchange)
    except TypeError:
        raise UpstreamError(_TOO_DEEP) from None


async def stream(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """Answer chunk by chunk."""
    response = EventStream(asyncio.get_running_loop().time, _SSE_HEADERS)
    pacemaker = Pacemaker(request, response, exchange, request.app[SETTINGS].upstream)
    try:
        await _relay(request, response, exchange, pacemaker)
    except GatewayError as error:
        await pacemaker.committed()
        if not exchange.outcome.begun:
            raise
        _name_client_field(exchange, error)
        await _send_error(request, response, exchange, error)
    except asyncio.CancelledError:
        if not (exchange.outcome.begun and request.app[DRAIN].over):
            raise
        await _send_error(request, response, exchange, restarting())
    except ConnectionResetError:
        exchange.outcome.client_gone = True
    finally:
        pacemaker.stop()
    return response


async def _relay(
    request: web.Request, response: EventStream, exchange: Exchange, pacemaker: Pacemaker
) -> None:
    """Send the reply down, from its head to its last byte."""
    reply, outcome = exchange.reply, exchange.outcome
    has_sound = _has_sound(exchange.call)
    if exchange.finish_media is not None:
        await exchange.finish_media()
    async with request.app[UPSTREAM].open(exchange.call, outcome, exchange.notes) as batches:
        # Fed before the head is sent: the head reports what the first events changed.
        frames = await _first(batches, reply, outcome, pacemaker if has_sound else None)
        _free_request(exchange)
        await pacemaker.committed()
        if not outcome.begun:
            stamp(response, exchange)
            await response.prepare(request)
            outcome.begun = True
        # The headers are sent, and a stream may last for many minutes.
        exchange.headers.clear()
        if frames:
            await response.write(frames)
        del frames
        # A task of its own wakes alone: inside this one each chunk would wake, from the outermost
        # inwards, every middleware that awaits the answer.
        pump = asyncio.create_task(
            _pump(batches, reply, response, has_sound=has_sound), name="pump"
        )
        closing = _finish(reply, await pump)
    await _end(request, response, _encode(reply, closing) + exchange.dialect.end)


async def _first(
    batches: Batches, reply: Reply, outcome: Outcome, pacemaker: Pacemaker | None
) -> bytes:
    """Return the frames to send with the head, or after one that the pacemaker has sent.

    Events without content are skipped: the head would only wait for what follows. *pacemaker* is
    given for a stream of sound.
    """
    async for events in batches:
        if pacemaker is not None:
            pacemaker.encoding = asyncio.create_task(
                in_thread(_encode_batch, reply, events), name="encoding"
            )
            frames = await pacemaker.encoding
            pacemaker.encoding = None
        else:
            frames = _encode_batch(reply, events)
        if frames or outcome.begun:
            return frames
    raise UpstreamTruncated("Gemini's reply ended before it began.")


async def _pump(
    batches: Batches, reply: Reply, response: EventStream, *, has_sound: bool
) -> UpstreamError | None:
    """Write all further events; return the error that broke them off. The hot path of a stream."""
    try:
        while True:
            events = await anext(batches)
            frames = (
                await in_thread(_encode_batch, reply, events)
                if has_sound
                else _encode_batch(reply, events)
            )
            del events
            if frames:
                await response.write(frames)
            del frames
    except StopAsyncIteration:
        return None
    except (UpstreamTruncated, UpstreamTimeout) as error:
        return error


def _free_request(exchange: Exchange) -> None:
    """Free the request: it cannot be sent again, and the stream may last for many minutes."""
    exchange.payload.clear()
    exchange.media.clear()
    exchange.call.body.clear()
    exchange.release()


def _encode_batch(reply: Reply, events: list[Json]) -> bytes:
    """Return the frames of one batch; no other reference to it lives while the client is slow."""
    chunks = reply.feed(*events)
    return _encode(reply, chunks) if chunks else b""


def _encode(reply: Reply, chunks: list[Json]) -> bytes:
    """Return the frames of *chunks*; raise `UpstreamError` for JSON that cannot be written."""
    try:
        return reply.encode(chunks)
    except TypeError:
        raise UpstreamError(_TOO_DEEP) from None


def _collect(reply: Reply, events: list[Json]) -> Json:
    """Return the whole answer: the folded chunks of a stream."""
    return reply.collect(reply.feed(*events) + reply.finish())


def _has_sound(call: UpstreamCall) -> bool:
    """Tell whether to translate in a thread: one event may hold minutes of speech.

    The thread ends before whoever is cancelled reads what the events have used.
    """
    return "AUDIO" in (setting(call, "responseModalities") or ())


def _finish(reply: Reply, break_error: UpstreamError | None) -> list[Json]:
    """Close the reply; a break after the finish reason lost nothing, one before is reported."""
    try:
        return reply.finish(broken=break_error is not None)
    except UpstreamTruncated:
        if break_error is None:
            raise
        raise break_error from None


def _name_client_field(exchange: Exchange, error: GatewayError) -> None:
    """Make the *error* of a request that Gemini refused name the client's own field."""
    if error.param is not None:
        error.param = exchange.dialect.client_field(exchange, error.param)


async def _send_error(
    request: web.Request, response: EventStream, exchange: Exchange, error: GatewayError
) -> None:
    """Report *error* in-band and end the stream."""
    exchange.outcome.error = error.bare()
    try:
        await _end(request, response, exchange.dialect.encode_error(error) + exchange.dialect.end)
    except ConnectionResetError:
        exchange.outcome.client_gone = True


async def _end(request: web.Request, response: EventStream, data: bytes) -> None:
    """End the stream with *data*; while the gateway stops, end the connection in the same segment.

    The head promised a further request, and a proxy that learned of the end later would send one.
    """
    transport = request.transport if request.app[DRAIN].leaving else None
    if transport is not None:
        hold_last_segment(transport)
    await response.write_eof(data)
    if transport is not None and not transport.is_closing():
        transport.write_eof()
