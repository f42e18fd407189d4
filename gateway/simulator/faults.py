"""Scripted faults: what goes wrong with the next requests, and at which point of the answer."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal

import orjson
from aiohttp import web

from gateway.simulator.received import Received
from gateway.simulator.refusal import Json, Refusal

Then = Literal["stall", "close", "reset", "error", "tail", "end"]
_OVERLOADED = Refusal("The model is overloaded. Please try again later.", status=503).body()
HTML = b"<!DOCTYPE html><html><title>Error 502 (Server Error)!!1</title></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one request. Times in seconds.

    With *status* or *body* the answer is just that: *body* as JSON, text or bytes. Otherwise the
    ordinary answer is sent until *after* events (or *cut_at* bytes) are written, and *then*:
    silence until the peer leaves ("stall"), the connection closed in the middle of the body
    ("close") or by RST ("reset"), an error event ("error") or bare JSON ("tail") with *error* and
    the end, or a clean end ("end"). *piece* is the number of bytes per write.
    """

    status: int | None = None
    body: Json | list[Json] | str | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    gap_s: float = 0.0
    piece: int | None = None
    after: int | None = None
    cut_at: int | None = None
    then: Then = "close"
    error: Json = field(default_factory=lambda: _OVERLOADED)

    @property
    def replaces(self) -> bool:
        """Tell whether the ordinary answer is not made at all."""
        return self.status is not None or self.body is not None

    def response(self) -> web.Response:
        """Return the answer that replaces the ordinary one."""
        body, kind = self.body, "application/json"
        if body is None:
            body = b""
        if isinstance(body, str):
            body = body.encode()
        if not isinstance(body, bytes):
            body = orjson.dumps(body)
        elif body.lstrip().startswith(b"<"):
            kind = "text/html"
        headers = {"Content-Type": kind, **self.headers}
        return web.Response(status=self.status or 200, body=body, headers=headers)


FAULT: web.RequestKey[Fault] = web.RequestKey("fault", Fault)


@dataclass(slots=True)
class _Line:
    fault: Fault
    times: int | None
    key: str | None
    model: str | None
    action: str | None

    def fits(self, received: Received) -> bool:
        pairs = (
            (self.key, received.key),
            (self.model, received.model),
            (self.action, received.action),
        )
        return all(wanted is None or wanted == actual for wanted, actual in pairs)


class Script:
    """The faults to come, in order; each applies to a number of requests that match it."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: list[_Line] = []

    def add(
        self,
        fault: Fault,
        *,
        times: int | None = 1,
        key: str | None = None,
        model: str | None = None,
        action: str | None = None,
    ) -> None:
        """Apply *fault* to the next *times* requests (None: all) with this key, model, action."""
        self._lines.append(_Line(fault, times, key, model, action))

    def clear(self) -> None:
        """Forget all faults."""
        self._lines.clear()

    def take(self, received: Received) -> Fault | None:
        """Return the fault for this request, and count it."""
        for line in self._lines:
            if line.fits(received):
                if line.times is not None:
                    line.times -= 1
                    if not line.times:
                        self._lines.remove(line)
                return line.fault
        return None


async def break_off(request: web.Request, response: web.StreamResponse, fault: Fault) -> None:
    """Do to the connection what *fault* says comes *then*."""
    if fault.then == "stall":
        # Ends by cancellation, when the peer leaves or the simulator stops.
        await asyncio.Event().wait()
    elif fault.then in {"error", "tail"}:
        lead = b"data: " if fault.then == "error" else b""
        await response.write(lead + orjson.dumps(fault.error) + b"\r\n\r\n")
    elif fault.then in {"close", "reset"} and request.transport is not None:
        if fault.then == "reset":
            sock = request.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
        else:
            request.transport.close()
