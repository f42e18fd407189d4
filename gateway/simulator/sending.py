"""Sends answers in Gemini's formats: pretty JSON, event streams with CRLF, JSON arrays."""

import asyncio
from collections.abc import Iterator

import orjson
from aiohttp import web

from gateway.simulator.faults import FAULT, Fault, break_off
from gateway.simulator.refusal import Json

_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_JSON = "application/json; charset=UTF-8"


def send_json(body: Json | list[Json], status: int = 200) -> web.Response:
    """Return *body* as Google formats unary answers."""
    return web.Response(
        status=status, body=orjson.dumps(body, option=_PRETTY), headers={"Content-Type": _JSON}
    )


async def send_whole(request: web.Request, body: Json) -> web.StreamResponse:
    """Answer with *body*, cut as the request's fault says."""
    fault = request[FAULT]
    if fault == Fault(delay_s=fault.delay_s):
        return send_json(body)
    data = orjson.dumps(body, option=_PRETTY)
    return await _send(request, iter([data]), _JSON)


async def send_stream(request: web.Request, events: Iterator[Json]) -> web.StreamResponse:
    """Answer with *events*: as an event stream with alt=sse, else as one JSON array."""
    if request.query.get("alt") == "sse":
        return await _send(request, map(_frame, events), "text/event-stream")
    return await _send(request, _array(events), _JSON)


def _frame(event: Json) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\r\n\r\n"


def _array(events: Iterator[Json]) -> Iterator[bytes]:
    lead = b"["
    for event in events:
        yield lead + orjson.dumps(event, option=orjson.OPT_INDENT_2)
        lead = b",\r\n"
    yield b"]"


async def _send(request: web.Request, frames: Iterator[bytes], kind: str) -> web.StreamResponse:
    fault = request[FAULT]
    response = web.StreamResponse(headers={"Content-Type": kind, **fault.headers})
    await response.prepare(request)
    budget = fault.cut_at
    for at, frame in enumerate(frames):
        if at == fault.after:
            await break_off(request, response, fault)
            return response
        if at and fault.gap_s:
            await asyncio.sleep(fault.gap_s)
        await _write(response, frame if budget is None else frame[:budget], fault.piece)
        if budget is not None:
            budget -= len(frame)
            if budget <= 0:
                await break_off(request, response, fault)
                return response
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, data: bytes, piece: int | None) -> None:
    size = piece or len(data) or 1
    for start in range(0, len(data), size):
        await response.write(data[start : start + size])
        if piece:
            # Let each piece be sent separately.
            await asyncio.sleep(0)
