"""Media through the whole gateway: examples 3, 4 and 5 of the API document, streamed."""

import io
import os
import re
from base64 import b64decode, b64encode
from contextlib import AsyncExitStack

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.settings import Credential, License, Media, Settings, Upstream
from tests.gateway.media.files_api import FilesApi
from tests.gateway.media.samples import ALIASES, PDF, REFUSED, TAKEN, sample
from tests.gateway.media.web import answer, running

# The types that Gemini documents; anything else is a 400 there.
_TYPES = re.compile(
    r"image/(png|jpeg|webp|heic|heif)|audio/(wav|mp3|aiff|aac|ogg|flac)|"
    r"video/(mp4|mpeg|mov|avi|x-flv|mpg|webm|wmv|3gpp)|application/(pdf|json)|text/.+"
)


class Gemini:
    """A strict upstream that keeps the media parts of what it is asked."""

    def __init__(self) -> None:
        self.parts: list[dict] = []
        self.asked = 0

    async def generate(self, request: web.Request) -> web.Response:
        self.asked += 1
        body = orjson.loads(await request.read())
        self.parts = [part for content in body["contents"] for part in content["parts"]]
        for part in self.parts:
            assert set(part) < {"text", "inlineData", "fileData", "mediaResolution"}
            if "inlineData" in part:
                assert _TYPES.fullmatch(part["inlineData"]["mimeType"])
                b64decode(part["inlineData"]["data"], validate=True)
        event = {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "seen"}]}, "finishReason": "STOP"}
            ]
        }
        return web.Response(
            body=b"data: " + orjson.dumps(event) + b"\r\n\r\n", content_type="text/event-stream"
        )


class Whole:
    """The gateway before `Gemini`, with one license."""

    def __init__(self, client: TestClient, gemini: Gemini, files: FilesApi) -> None:
        self.client, self.gemini, self.files = client, gemini, files

    async def ask(self, part: dict) -> tuple[int, bytes]:
        payload = {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "图片里面有什么内容"}, part]}
            ],
            "model": "gemini-2.0-flash",
            "stream": True,
        }
        async with self.client.post(
            "/gemini/v1/chat/completions",
            data=io.BytesIO(orjson.dumps(payload)),
            headers={"Authorization": "sesame", "Content-Type": "application/json"},
        ) as response:
            return response.status, await response.read()


@pytest.fixture
async def whole():
    """Start the gateway with options of `[media]`."""
    async with AsyncExitStack() as stack:

        async def start(**options) -> Whole:
            gemini, files = Gemini(), FilesApi()
            upstream = web.Application(client_max_size=200_000_000)
            upstream.router.add_post("/v1beta/models/{call}", gemini.generate)
            upstream.router.add_post("/upload/v1beta/files", files.post)
            upstream.router.add_get("/v1beta/files/{name}", files.get)
            server = await stack.enter_async_context(TestServer(upstream))
            files.base_url = str(server.make_url("")).rstrip("/")
            settings = Settings(
                upstream=Upstream(
                    base_url=files.base_url,
                    credentials=(Credential(name="main", key="key-main"),),
                ),
                licenses=(License(id="alice", key="sesame"),),
                media=Media(**options),
            )
            client = TestClient(TestServer(build_app(settings)))
            await stack.enter_async_context(client)
            return Whole(client, gemini, files)

        yield start


def _part(url: str) -> dict:
    return {"type": "image_url", "image_url": {"url": url}}


async def test_every_format_of_the_document_arrives_in_all_three_forms(whole):
    async with running({"/file": answer(b"")}) as server:
        gateway = await whole(allow_hosts=(f"127.0.0.1:{server.port}",))
        for name, (mime, _) in TAKEN.items():
            data = sample(name)
            server.paths["/file"] = answer(data)
            encoded = b64encode(data).decode()
            for url in (
                f"http://127.0.0.1:{server.port}/file",
                f"data:{mime};base64,{encoded}",
                encoded,
            ):
                status, body = await gateway.ask(_part(url))
                assert status == 200, (name, body)
                assert b"seen" in body
                assert body.endswith(b"data: [DONE]\n\n")
                assert gateway.gemini.parts[1:] == [
                    {"inlineData": {"mimeType": mime, "data": encoded}}
                ]


async def test_every_alias_arrives_as_the_type_that_gemini_takes(whole):
    gateway = await whole()
    for name, aliases in ALIASES.items():
        encoded = b64encode(sample(name)).decode()
        for alias in aliases:
            part = {"type": "file", "file": {"file_data": encoded, "format": alias}}
            if "/" in alias:
                part = _part(f"data:{alias};base64,{encoded}")
            status, body = await gateway.ask(part)
            assert status == 200, (alias, body)
            assert gateway.gemini.parts[1]["inlineData"]["mimeType"] == TAKEN[name][0]


async def test_nothing_that_is_refused_reaches_upstream(whole):
    gateway = await whole()
    sent = [b64encode(sample(name)).decode() for name in REFUSED]
    sent += ["http://127.0.0.1/a.png", "data:image/png;base64,@", "http://localhost:8080/"]
    sent.append(f"data:image/png;base64,{b64encode(sample('mp3')).decode()}")
    for url in sent:
        status, body = await gateway.ask(_part(url))
        error = orjson.loads(body)["error"]
        assert (status, error["type"]) == (400, "invalid_request_error")
        assert error["param"] == "messages[0].content[1].image_url"
    assert gateway.gemini.asked == 0


async def test_a_document_arrives_as_a_file(whole):
    gateway = await whole()
    encoded = b64encode(PDF).decode()
    part = {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{encoded}"}}
    status, _ = await gateway.ask(part)
    assert status == 200
    assert gateway.gemini.parts[1:] == [
        {"inlineData": {"mimeType": "application/pdf", "data": encoded}}
    ]


async def test_a_large_video_is_uploaded_and_named(whole):
    gateway = await whole(upload_above_bytes=1_000_000)
    video = sample("mp4") + bytes(2_000_000)
    for _ in range(2):
        status, body = await gateway.ask(_part(b64encode(video).decode()))
        assert status == 200, body
        assert gateway.gemini.parts[1:] == [
            {
                "fileData": {
                    "mimeType": "video/mp4",
                    "fileUri": f"{gateway.files.base_url}/v1beta/files/file-0",
                }
            }
        ]
    assert len(gateway.files.files) == 1


async def test_youtube_goes_up_without_a_type(whole):
    gateway = await whole()
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    assert (await gateway.ask({"type": "video_url", "video_url": {"url": url}}))[0] == 200
    assert gateway.gemini.parts[1:] == [{"fileData": {"fileUri": url}}]


async def test_a_picture_of_fifteen_megabytes_passes_unchanged(whole):
    gateway = await whole()
    encoded = b64encode(sample("png") + os.urandom(15_000_000)).decode()
    status, body = await gateway.ask(_part(f"data:image/png;base64,{encoded}"))
    assert status == 200, body
    [picture] = gateway.gemini.parts[1:]
    assert picture["inlineData"]["data"] == encoded
