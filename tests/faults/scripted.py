"""An upstream on a raw socket that does exactly what it is told, byte by byte.

A script is a list of steps for one request. Each connection takes requests one after another; the
n-th request gets the n-th script, and the last one serves all that follow. A script may be a
function of the request and its number.
"""

import asyncio
import json
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import ClassVar, Self

from tests.discovery import SENT
from tests.running import SECRET

OK = b"HTTP/1.1 200 OK\r\n"
SSE = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
RESET = "reset"
CLOSE = "close"
STALL = "stall"


def event(text: str, **more) -> dict:
    """Return one event with *text*; *more* goes into the candidate."""
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, **more}]}


USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
LAST = {**event("end", finishReason="STOP"), "usageMetadata": USAGE}


def data(body: dict) -> bytes:
    # Letters as they are, as Gemini sends them: a cut may go through one.
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\r\n\r\n"


def chunk(raw: bytes) -> bytes:
    """Return *raw* as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(raw), raw)


END = b"0\r\n\r\n"


def stream(*bodies: dict) -> list:
    """Return the script of a stream that ends as it should."""
    return [SSE, *(chunk(data(body)) for body in bodies), END]


def answer(status: int, body: bytes | dict, content_type: str = "application/json") -> list:
    """Return the script of a whole answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return [head.encode() + raw]


def refusal(code: int, status: str, message: str = "no", details: list | None = None) -> list:
    """Return the script of one of Google's refusals."""
    error = {"code": code, "status": status, "message": message, "details": details or []}
    return answer(code, {"error": error})


@dataclass
class Seen:
    """One request as it arrived. *gone* is set when the gateway cut the connection.

    *taken* counts the bytes of the answer that the gateway, or the kernel before it, took.
    """

    path: str
    key: str
    body: dict
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    taken: int = 0

    @property
    def marker(self) -> str:
        """Return the text of the client's message."""
        return self.body["contents"][0]["parts"][0]["text"]


class ScriptedUpstream:
    """Use as `async with ScriptedUpstream(script, ...) as upstream`."""

    # What it shows to who connects; without one it speaks no TLS.
    tls: ClassVar[ssl.SSLContext | None] = None

    def __init__(self, *scripts: list) -> None:
        self.scripts = list(scripts)
        self.seen: list[Seen] = []
        self.release = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._tasks: set[asyncio.Task] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Sockets are closed a turn of the loop after they are told to, those of clients too.
        await asyncio.sleep(0.01)

    def hang_up(self) -> None:
        """Close the connections that wait for a next request, or for anything."""
        for writer in self._writers:
            writer.close()

    @property
    def keys(self) -> list[str]:
        return [seen.key for seen in self.seen]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = head.split(" ", 2)[1]
        seen = Seen(
            path, headers.get("x-goog-api-key", "").removeprefix(SECRET), json.loads(body or b"{}")
        )
        self.seen.append(seen)
        # Gateways in processes of their own are seen here only.
        SENT.look(seen.body, path.partition("?")[0].rpartition(":")[2])
        script = self.scripts[min(len(self.seen), len(self.scripts)) - 1]
        steps = script(seen, len(self.seen)) if callable(script) else script
        return await self._play(steps, seen, reader, writer)

    async def _play(self, script, seen, reader, writer) -> bool:
        for step in script:
            if step == RESET:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                writer.transport.abort()
                return False
            if step == CLOSE:
                return False
            if step == STALL:
                # Either the gateway cuts the connection, or the test lets the script go on.
                gone = asyncio.ensure_future(reader.read(1))
                released = asyncio.ensure_future(self.release.wait())
                await asyncio.wait({gone, released}, return_when=asyncio.FIRST_COMPLETED)
                left = gone.done()
                for waiter in (gone, released):
                    waiter.cancel()
                await asyncio.wait({gone, released})
                if left:
                    seen.gone.set()
                    return False
                continue
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            try:
                writer.write(step)
                await writer.drain()
                seen.taken += len(step)
            except ConnectionError:
                seen.gone.set()
                raise
        return True
