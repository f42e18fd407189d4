"""The gateway in one process without sockets: real requests and answers, no waiting.

Both aiohttp's server and its client use transports in memory, so the same bytes take the same way
in every run and only the gateway's own work is counted. What the gateway does periodically,
independent of the number of requests, is left out (looking for new licenses) or done in
`Client.settle` (writing log lines and rows of the ledger).
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
from aiohttp import web
from aiohttp.client_proto import ResponseHandler

from benchmarks import relay as minimal
from benchmarks import scenarios, targets
from benchmarks.scenarios import Scenario
from gateway import log
from gateway.app import build_app
from gateway.config import load
from gateway.keys import LEDGER
from gateway.ledger import ledger
from gateway.licenses import watch
from gateway.log import sink as log_sink
from gateway.server.connection_server import Runner

EVENT = (
    b'{"candidates": [{"content": {"parts": [{"text": "The quick \\"brown\\" fox\\njumps over the '
    b'lazy dog, word by word as a model would write it."}],"role": "model"},%b"index": 0}],'
    b'"usageMetadata": {"promptTokenCount": 120,"candidatesTokenCount": 240,'
    b'"totalTokenCount": 360,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 120}]},'
    b'"modelVersion": "gemini-2.5-flash","responseId": "hq8jacn2E7-qz7IPmc_XwQ0"}'
)
LAST = EVENT % b'"finishReason": "STOP",'
MIDDLE = EVENT % b""

NEVER_S = 86_400.0


def http_chunk(data: bytes) -> bytes:
    """Return *data* as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole_reply() -> list[bytes]:
    """Return upstream's whole answer as one read."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return [head + http_chunk(LAST) + b"0\r\n\r\n"]


def streamed_reply(events: int, per_read: int) -> list[bytes]:
    """Return upstream's stream of *events*, *per_read* of them in each read after the head."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    frames = [http_chunk(b"data: %b\r\n\r\n" % event) for event in [MIDDLE] * (events - 1) + [LAST]]
    reads = [b"".join(frames[at : at + per_read]) for at in range(0, events, per_read)]
    return [head, *reads, b"0\r\n\r\n"]


class Wire(asyncio.Transport):
    """A connection of *protocol* in memory: what it writes goes to *sink*."""

    __slots__ = ("_closing", "_protocol", "_sink")

    def __init__(self, protocol: asyncio.BaseProtocol, sink: Callable[[bytes], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8080)})
        self._protocol = protocol
        self._sink = sink
        self._closing = False
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self._sink(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self._sink(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        """Do nothing: each read is small and was requested."""

    def resume_reading(self) -> None:
        """Do nothing, see `pause_reading`."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: nothing is buffered."""


class Canned:
    """The upstream: its connections answer each request with the reads in *script*."""

    script: list[bytes]

    @staticmethod
    async def connect(connector: aiohttp.TCPConnector, *_: Any, **__: Any) -> ResponseHandler:
        """Return a new connection, in place of aiohttp's method."""
        loop = asyncio.get_running_loop()
        protocol: ResponseHandler = connector._factory()  # noqa: SLF001 - as in aiohttp itself

        def on_request(data: bytes) -> None:
            # The client writes head and body of these small requests in one piece or in two.
            if data.endswith(b"}"):
                answer(list(Canned.script))

        def answer(reads: list[bytes]) -> None:
            protocol.data_received(reads.pop(0))
            if reads:
                loop.call_soon(loop.call_soon, answer, reads)

        Wire(protocol, on_request)
        return protocol


async def nothing() -> None:
    """Do nothing: there is nothing left to do."""


class Client:
    """One persistent connection to a server; *settle* makes it finish deferred work."""

    __slots__ = ("_answered", "_loop", "_protocol", "_received", "settle")

    def __init__(self, server: web.Server, settle: Callable[[], Awaitable[None]] = nothing) -> None:
        self.settle = settle
        self._received: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._answered = self._loop.create_future()
        self._protocol = server()
        Wire(self._protocol, self._take)

    def _take(self, data: bytes) -> None:
        self._received.append(data)
        if data.endswith((b"0\r\n\r\n", b"}")):
            self._answered.set_result(None)

    async def ask(self, request: bytes) -> bytes:
        """Send *request*; return the bytes of the answer."""
        self._answered = self._loop.create_future()
        self._received.clear()
        self._protocol.data_received(request)
        await self._answered
        return b"".join(self._received)


def request_bytes(scenario: Scenario, path: str = targets.GATEWAY_PATH) -> bytes:
    """Return the HTTP request of *scenario*."""
    body = scenarios.body(scenario)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\n{targets.GATEWAY_HEADERS[0]}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def gateway() -> AsyncIterator[Client]:
    """Run the gateway with its full default chain; yield a connection to it."""
    with (
        tempfile.TemporaryDirectory() as name,
        Path(os.devnull).open("w") as nowhere,
        mock.patch.object(ledger, "INTERVAL_S", NEVER_S),
        mock.patch.object(log_sink, "BATCH_S", NEVER_S),
        mock.patch.object(watch, "FILE_INTERVAL_S", NEVER_S),
    ):
        place = targets.Place(8080, Path(name), 8081)
        settings = load(Path(targets.gateway()(place)[-1]), {})
        output = log.Output(nowhere.fileno())
        output.configure(settings.log, log.secrets_of(settings))
        app = build_app(settings)

        async def settle() -> None:
            output.sink.flush()
            await app[LEDGER].flush()

        async with connected(Runner(app, settings)) as server:
            yield Client(server, settle)


@asynccontextmanager
async def relay() -> AsyncIterator[Client]:
    """Run the minimal relay; yield a connection to it."""
    app = minimal.build_app("http://127.0.0.1:8081", write_per_chunk=False)
    async with connected(web.AppRunner(app, access_log=None)) as server:
        yield Client(server)


@asynccontextmanager
async def connected(runner: web.AppRunner) -> AsyncIterator[web.Server]:
    """Run the application of *runner*, whose upstream is `Canned.script`; yield its server."""
    with mock.patch.object(aiohttp.TCPConnector, "_create_connection", Canned.connect):
        try:
            await runner.setup()
            assert runner.server
            yield runner.server
        finally:
            await runner.cleanup()
