"""A strict Files API: resumable uploads with offsets, processing, owners, and faults on demand."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.errors import Unavailable
from gateway.exchange import FilesLease

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
    """What the server knows and how it misbehaves; *keys* are the credentials by name."""

    def __init__(self) -> None:
        self.files: dict[str, Stored] = {}
        self.lost: set[str] = set()
        self.keys = {"main": "key-main"}
        self.owners: dict[str, str] = {}
        self.steps: list[int] = []
        self.polls_until_active = 0
        self.outcome = "ACTIVE"
        self.start_status = 200
        self.refused_keys: set[str] = set()
        self.break_steps = 0
        self.upload_base: str | None = None
        self.base_url = ""
        self.peak = 0
        self._names = count()

    def owner(self, uri: str) -> str | None:
        return self.owners.get(uri)

    def lease(self, credential: str | None, avoid: Collection[str]) -> FilesLease:
        names = [name for name in (credential, *self.keys) if name in self.keys]
        for name in names:
            if name not in avoid:
                return FilesLease(name, self.keys[name])
        raise Unavailable("No credential can be used.")

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
        if commands == ["query"]:
            return web.Response(headers={"X-Goog-Upload-Size-Received": str(stored.received)})
        assert int(request.headers["X-Goog-Upload-Offset"]) == stored.received
        size = 0
        async for data in request.content.iter_any():
            size += len(data)
            stored.digest.update(data)
            if self.break_steps:
                self.break_steps -= 1
                stored.received += size
                request.transport.abort()
                return web.Response()
        stored.received += size
        self.steps.append(size)
        if tracemalloc.is_tracing():
            self.peak = max(self.peak, tracemalloc.get_traced_memory()[0])
        if "finalize" not in commands:
            assert size % _GRANULARITY == 0
            return web.Response(headers={"X-Goog-Upload-Status": "active"})
        assert stored.received == stored.size
        stored.final = True
        return web.json_response({"file": self._described(request.query["upload_id"])})

    async def get(self, request: web.Request) -> web.Response:
        stored = self.files[request.match_info["name"]]
        assert request.headers["x-goog-api-key"] == stored.key
        stored.polls += 1
        return web.json_response(self._described(request.match_info["name"]))

    def _described(self, name: str) -> dict[str, str]:
        stored = self.files[name]
        done = stored.final and stored.polls >= self.polls_until_active
        return {
            "name": f"files/{name}",
            "uri": f"{self.base_url}/v1beta/files/{name}",
            "mimeType": stored.mime,
            "state": self.outcome if done else "PROCESSING",
        }

    async def post(self, request: web.Request) -> web.Response:
        return await (self.upload if "upload_id" in request.query else self.start)(request)


@asynccontextmanager
async def files_api() -> AsyncIterator[FilesApi]:
    """Run a Files API on a free port."""
    api = FilesApi()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/upload/v1beta/files", api.post)
    app.router.add_get("/v1beta/files/{name}", api.get)
    async with TestServer(app) as server:
        api.base_url = str(server.make_url("")).rstrip("/")
        yield api
