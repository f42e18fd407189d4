"""A strict Files API: resumable uploads with offsets, processing, owners, and faults on demand."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.settings import Models, Upstream
from gateway.upstream import files
from gateway.upstream.client import GeminiUpstream
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.names import ModelNames

_GRANULARITY = 8_388_608


@dataclass
class Stored:
    """A file being uploaded or whole."""

    key: str
    mime: str
    size: int
    digest: object = field(default_factory=hashlib.sha256)
    received: int = 0
    final: bool = False
    polls: int = 0


class FilesApi:
    """What the server knows and how it misbehaves; *lent* is the gateway's end of it."""

    lent: files.FilesApi
    upstream: GeminiUpstream

    def __init__(self) -> None:
        self.files: dict[str, Stored] = {}
        self.lost: set[str] = set()
        # The keys that files were looked at with.
        self.lookers: list[str] = []
        self.steps: list[int] = []
        self.polls_until_active = 0
        self.outcome = "ACTIVE"
        self.start_status = 200
        self.refused_keys: set[str] = set()
        self.break_steps = 0
        # How much has arrived, if that is not told truly.
        self.told_size = ""
        # What is said in place of the next steps and looks, each a status and a text.
        self.step_answers: list[tuple[int, str]] = []
        self.look_answers: list[tuple[int, str]] = []
        # The last step arrives, its answer does not; whether that is told once more when asked.
        self.loses_last_answer = False
        self.repeats_last_answer = True
        self.upload_base: str | None = None
        self.base_url = ""
        self.peak = 0
        self.gone = asyncio.Event()
        # Cleared, it holds up the answers to steps.
        self.answering = asyncio.Event()
        self.answering.set()
        # Connections that break when they are used again.
        self.dead: set[asyncio.Transport] = set()
        self.connections: set[asyncio.Transport] = set()
        self._names = count()

    def use(self, *names: str, **projects: str) -> None:
        """Return the gateway keys of these names, each the project of its name or the one given."""
        members = {**{name: name for name in names}, **projects}
        self.upstream.pool.replace(
            [Credential(name, f"key-{name}", project=one) for name, one in members.items()]
        )

    async def start(self, request: web.Request) -> web.Response:
        if request.headers["x-goog-api-key"] in self.refused_keys:
            return web.Response(status=403)
        if self.start_status != 200:
            return web.Response(status=self.start_status, text="key-main is no good")
        headers = request.headers
        assert headers["X-Goog-Upload-Protocol"] == "resumable"
        assert headers["X-Goog-Upload-Command"] == "start"
        assert set(await request.json()) == {"file"}
        name = f"file-{next(self._names)}"
        self.files[name] = Stored(
            headers["x-goog-api-key"],
            headers["X-Goog-Upload-Header-Content-Type"],
            int(headers["X-Goog-Upload-Header-Content-Length"]),
        )
        base = self.upload_base or self.base_url
        return web.Response(
            headers={
                "X-Goog-Upload-URL": f"{base}/upload/v1beta/files?upload_id={name}&key=secret",
                "X-Goog-Upload-Status": "active",
            }
        )

    async def upload(self, request: web.Request) -> web.Response:
        stored = self.files[request.query["upload_id"]]
        commands = request.headers["X-Goog-Upload-Command"].split(", ")
        if commands == ["query"] and stored.final:
            description = {"file": self._described(request.query["upload_id"])}
            body = description if self.repeats_last_answer else {}
            return web.json_response(body, headers={"X-Goog-Upload-Status": "final"})
        if commands == ["query"]:
            arrived = self.told_size or str(stored.received)
            return web.Response(headers={"X-Goog-Upload-Size-Received": arrived})
        if self.step_answers:
            status, text = self.step_answers.pop(0)
            return web.Response(status=status, text=text)
        assert int(request.headers["X-Goog-Upload-Offset"]) == stored.received
        size = 0
        async for data in self._arriving(request):
            size += len(data)
            stored.digest.update(data)
            if self.break_steps:
                self.break_steps -= 1
                stored.received += size
                request.transport.abort()
                return web.Response()
        stored.received += size
        self.steps.append(size)
        await self.answering.wait()
        if tracemalloc.is_tracing():
            self.peak = max(self.peak, tracemalloc.get_traced_memory()[0])
        if "finalize" not in commands:
            assert size % _GRANULARITY == 0
            return web.Response(headers={"X-Goog-Upload-Status": "active"})
        assert stored.received == stored.size
        stored.final = True
        if self.loses_last_answer:
            self.loses_last_answer = False
            request.transport.abort()
        return web.json_response({"file": self._described(request.query["upload_id"])})

    async def _arriving(self, request: web.Request) -> AsyncIterator[bytes]:
        try:
            async for data in request.content.iter_any():
                yield data
        finally:
            if not request.content.at_eof():
                self.gone.set()

    async def get(self, request: web.Request) -> web.Response:
        stored = self.files[request.match_info["name"]]
        self.lookers.append(request.headers["x-goog-api-key"])
        stored.polls += 1
        if self.look_answers:
            status, text = self.look_answers.pop(0)
            return web.Response(status=status, text=text)
        return web.json_response(self._described(request.match_info["name"]))

    def _described(self, name: str) -> dict[str, str]:
        stored = self.files[name]
        done = stored.final and stored.polls >= self.polls_until_active
        return {
            "name": f"files/{name}",
            "uri": f"{self.base_url}/v1beta/files/{name}",
            "mimeType": stored.mime,
            "state": self.outcome if done else "PROCESSING",
            **({"error": {"code": 3, "message": "No video."}} if self.outcome == "FAILED" else {}),
        }

    async def post(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.connections.add(request.transport)
        if request.transport in self.dead:
            request.transport.abort()
            return web.Response()
        return await (self.upload if "upload_id" in request.query else self.start)(request)


@asynccontextmanager
async def files_api(timeout_s: float = 30.0, **options) -> AsyncIterator[FilesApi]:
    """Run a Files API on a free port, and an upstream for it with *options* of its settings."""
    api = FilesApi()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/upload/v1beta/files", api.post)
    app.router.add_get("/v1beta/files/{name}", api.get)
    async with TestServer(app) as server:
        api.base_url = str(server.make_url("")).rstrip("/")
        clock = asyncio.get_running_loop().time
        settings, names = Upstream(base_url=api.base_url, **options), ModelNames(Models(), clock)
        api.upstream = GeminiUpstream(settings, CredentialPool([], clock=clock), names, None, clock)
        api.lent = files.FilesApi(api.upstream, timeout_s)
        api.use("main")
        await api.upstream.start()
        try:
            yield api
        finally:
            await api.upstream.close()
