"""Media through the whole gateway to the strict simulator, streamed, every format and form."""

import io
import os
from base64 import b64encode
from contextlib import AsyncExitStack

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.settings import Credential, License, Media, Models, Replacement, Settings, Upstream
from gateway.simulator import Simulator
from gateway.simulator.received import Received
from tests.gateway.media.samples import ALIASES, PDF, REFUSED, TAKEN, sample
from tests.gateway.media.web import answer, running

pytestmark = pytest.mark.usefixtures("impatient")
GONE = Replacement(model="gemini-3.1-flash-lite")


class Whole:
    """The gateway before the simulator, with one license."""

    def __init__(self, client: TestClient, simulator: Simulator) -> None:
        self.client, self.simulator = client, simulator

    @property
    def asked(self) -> list[Received]:
        return [one for one in self.simulator.received if "Content" in one.action]

    @property
    def parts(self) -> list[dict]:
        """The media parts of the latest request, which the simulator took."""
        latest = self.asked[-1]
        assert latest.status == 200
        return latest.body["contents"][0]["parts"][1:]

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
            simulator = await stack.enter_async_context(Simulator())
            settings = Settings(
                upstream=Upstream(
                    base_url=simulator.url, credentials=(Credential(name="main", key="key-main"),)
                ),
                licenses=(License(id="alice", key="sesame"),),
                media=Media(**options),
                models=Models(replacements={"gemini-2.0-flash": GONE}),
            )
            client = TestClient(TestServer(build_app(settings)))
            await stack.enter_async_context(client)
            return Whole(client, simulator)

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
                assert mime.encode() in body, "the simulator says what it was given"
                assert body.endswith(b"data: [DONE]\n\n")
                assert gateway.parts == [{"inlineData": {"mimeType": mime, "data": encoded}}]


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
            assert gateway.parts[0]["inlineData"]["mimeType"] == TAKEN[name][0]


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
    assert gateway.asked == []


async def test_a_document_arrives_as_a_file(whole):
    gateway = await whole()
    encoded = b64encode(PDF).decode()
    part = {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{encoded}"}}
    status, _ = await gateway.ask(part)
    assert status == 200
    assert gateway.parts == [{"inlineData": {"mimeType": "application/pdf", "data": encoded}}]


async def test_a_large_video_is_uploaded_and_named(whole):
    gateway = await whole(upload_above_bytes=1_000_000)
    video, uris = sample("mp4") + bytes(2_000_000), set()
    for _ in range(2):
        status, body = await gateway.ask(_part(b64encode(video).decode()))
        assert status == 200, body
        [file] = gateway.parts
        assert file["fileData"]["mimeType"] == "video/mp4"
        uris.add(file["fileData"]["fileUri"])
    assert len(uris) == 1, "the second time the file is there already"


async def test_youtube_goes_up_without_a_type(whole):
    gateway = await whole()
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    assert (await gateway.ask({"type": "video_url", "video_url": {"url": url}}))[0] == 200
    assert gateway.parts == [{"fileData": {"fileUri": url}}]


async def test_a_picture_of_fifteen_megabytes_passes_unchanged(whole):
    gateway = await whole()
    encoded = b64encode(sample("png") + os.urandom(15_000_000)).decode()
    status, body = await gateway.ask(_part(f"data:image/png;base64,{encoded}"))
    assert status == 200, body
    [picture] = gateway.parts
    assert picture["inlineData"]["data"] == encoded


async def test_an_upload_that_was_deleted_upstream_goes_up_anew(whole):
    gateway = await whole(upload_above_bytes=100_000)
    video = _part("data:video/mp4;base64," + b64encode(sample("mp4") + bytes(400_000)).decode())
    assert (await gateway.ask(video))[0] == 200
    [part] = gateway.parts
    async with ClientSession() as session:
        key = {"x-goog-api-key": "key-main"}
        async with session.delete(part["fileData"]["fileUri"], headers=key) as deleted:
            assert deleted.status == 200
    status, body = await gateway.ask(video)
    assert (status, orjson.loads(body)["error"]["code"]) == (503, "unavailable")
    assert (await gateway.ask(video))[0] == 200
    assert gateway.parts[0]["fileData"]["fileUri"] != part["fileData"]["fileUri"]
