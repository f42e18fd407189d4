"""What the middleware's tests do not show: what is fetched, and what is left behind."""

import time
from base64 import b64decode, b64encode
from contextlib import ExitStack
from copy import deepcopy

import pytest

from gateway.dialects import OPENAI_CHAT
from gateway.errors import GatewayError, InvalidMedia, NotFound, Unavailable, UpstreamAuth
from gateway.exchange import Blob, Exchange, License, UpstreamCall
from gateway.media import spool
from gateway.media.fetch import Fetcher
from gateway.media.intake import Intake
from gateway.media.parts import find
from gateway.settings import Media
from tests.gateway.media.samples import pcm, sample
from tests.gateway.media.web import answer, running

PNG = b64encode(sample("png")).decode()


async def nowhere(_host: str, _port: int) -> list[str]:
    raise OSError


async def take(server, *parts: dict, files=None, **options) -> Exchange:
    """Take in *parts*; their URLs are paths of *server*."""
    settings = Media(allow_hosts=(f"127.0.0.1:{server.port}",), **options)
    exchange = Exchange("req-1", OPENAI_CHAT, 0.0)
    exchange.license = License("alice")
    payload = {"model": "m", "messages": [{"role": "user", "content": list(parts)}]}
    exchange.payload = payload
    intake = Intake(settings, "http://127.0.0.1:1", Fetcher(settings, nowhere), files)
    exchange.call = UpstreamCall("m", {"contents": []}, stream=False)
    with ExitStack() as spools:
        await intake.fill(exchange, find(payload), spools)
        if exchange.finish_media is not None:
            await exchange.finish_media()
    return exchange


def file_url(server, path: str) -> dict:
    return {"type": "file", "file": {"file_url": f"http://127.0.0.1:{server.port}{path}"}}


@pytest.mark.parametrize(
    ("path", "served_as", "body", "mime"),
    [
        ("/a", "text/csv; charset=utf-8", b"a,b", "text/csv"),
        ("/a", "", b"a,b", "text/plain"),
        ("/a.css", "text/plain", b"a{}", "text/css"),
        ("/a", "text/html", sample("png"), "image/png"),
        ("/a.pdf", "application/pdf", b"<html>", "text/plain"),
    ],
)
async def test_path_and_server_only_tell_one_text_from_another(path, served_as, body, mime):
    handler = answer(body, headers=f"Content-Type: {served_as}\r\n" if served_as else "")
    async with running({path: handler}) as server:
        exchange = await take(server, file_url(server, path))
    blob = exchange.media[0, 0]
    assert (blob.mime, b64decode(blob.data)) == (mime, body)


async def test_a_url_that_leads_to_nothing_is_named():
    async with running({"/a": answer(b"", headers="Content-Type: image/png\r\n")}) as server:
        with pytest.raises(InvalidMedia) as caught:
            await take(server, file_url(server, "/a"))
    assert caught.value.code == "empty_media"
    assert caught.value.param is not None


async def test_fetched_samples_get_their_header():
    async with running({"/a": answer(pcm())}) as server:
        url = f"http://127.0.0.1:{server.port}/a"
        part = {"type": "input_audio", "input_audio": {"data": url, "format": "pcm16"}}
        exchange = await take(server, part)
    data = b64decode(exchange.media[0, 0].data)
    assert (data[:4], data[54:]) == (b"RIFF", pcm())


@pytest.mark.parametrize(
    "source", [" " * 15_000_000, "gs://bucket/" + "a" * 15_000_000, "a:" + "a" * 15_000_000]
)
async def test_a_source_without_end_does_not_stop_the_others(source):
    async with running({}) as server:
        began = time.thread_time()
        with pytest.raises(InvalidMedia):
            await take(server, {"type": "image_url", "image_url": {"url": source}})
        assert time.thread_time() - began < 0.1


async def test_many_texts_of_percent_signs_do_not_stop_the_others():
    text = {"type": "file", "file": {"file_data": "data:text/plain," + "%" * 100_000}}
    async with running({}) as server:
        began = time.thread_time()
        exchange = await take(server, *(dict(text, file=dict(text["file"])) for _ in range(20)))
        assert time.thread_time() - began < 0.1
    assert [blob.mime for blob in exchange.media.values()] == ["text/plain"] * 20


def test_without_uploads_none_of_them_is_lost():
    intake = Intake(Media(), "http://127.0.0.1:1", Fetcher(Media(), nowhere))
    exchange = Exchange("req-1", OPENAI_CHAT, 0.0)
    assert not intake.forget_lost(exchange, NotFound("models/m is not found"))


class Serving:
    """A Files API whose projects all serve, or none."""

    def __init__(self, *, serves: bool) -> None:
        self._serves = serves

    def serves(self, project: str, model: str) -> bool:
        assert (project, model) == ("one", "m")
        return self._serves


NAMED = Blob(None, uri="http://127.0.0.1:1/v1beta/files/abc")
UPLOADED = Blob("image/png", uri=NAMED.uri)


@pytest.mark.parametrize(
    ("error", "change", "moves"),
    [
        (UpstreamAuth("No."), {}, True),
        (NotFound("No."), {}, False),
        (UpstreamAuth("No."), {"media_project": None}, False),
        (UpstreamAuth("No."), {"media": {(0, 0): UPLOADED, (0, 1): NAMED}}, False),
        (
            UpstreamAuth("No."),
            {"payload": {"model": "m", "google": {"cached_content": "c"}}},
            False,
        ),
    ],
)
def test_uploads_move_where_nothing_else_holds_them(error, change, moves):
    exchange = Exchange("req-1", OPENAI_CHAT, 0.0)
    exchange.payload = {"model": "m"}
    exchange.media_project = "one"
    exchange.media = {(0, 0): UPLOADED}
    for name, value in change.items():
        setattr(exchange, name, value)
    for serves in (True, False):
        files = Serving(serves=serves)
        intake = Intake(Media(), "http://127.0.0.1:1", Fetcher(Media(), nowhere), files)
        assert intake.can_move(exchange, error) is (moves and not serves)


async def test_a_url_and_a_data_url_at_fault_are_named():
    url = {"type": "image_url", "image_url": {"url": "http://10.0.0.1/"}}
    data = {"type": "image_url", "image_url": {"url": f"data:;base64,{PNG}"}}
    async with running({}) as server:
        with pytest.raises(InvalidMedia) as caught:
            await take(server, deepcopy(data), url)
        assert (caught.value.code, caught.value.param) == (
            "invalid_image_url",
            "messages[0].content[1].image_url",
        )
        with pytest.raises(InvalidMedia) as caught:
            await take(server, deepcopy(data), deepcopy(data), max_request_bytes=len(sample("png")))
    assert (caught.value.code, caught.value.param) == (
        "media_too_large",
        "messages[0].content[1].image_url",
    )


@pytest.mark.parametrize("most", [1_200, 2_400])
async def test_a_url_named_several_times_counts_each_time(most):
    """It goes up as often as it is named, so that a few bytes would become gigabytes."""
    body = sample("png") + bytes(1_000 - len(sample("png")))
    async with running({"/a": answer(body)}) as server:
        url = {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{server.port}/a"}}
        with pytest.raises(InvalidMedia) as caught:
            await take(server, url, url, url, max_request_bytes=most)
        assert len((await take(server, url, url, url, max_request_bytes=3_000)).media) == 3
    assert caught.value.code == "media_too_large"
    assert caught.value.param == f"messages[0].content[{most // 1_000}].image_url"
    assert len(server.seen) == 2


class Refusing:
    """A Files API that takes nothing."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def store(self, window, mime: str, model: str, project: str | None) -> None:
        self.sizes.append(len(window))
        raise InvalidMedia("No.", code="media_not_processed")


class Keeping(Refusing):
    """A Files API that looks at what it refuses."""

    async def store(self, window, mime: str, model: str, project: str | None) -> None:
        self.sizes.append((mime, window[:4], len(window)))
        raise InvalidMedia("No.", code="media_not_processed")


@pytest.mark.parametrize("size", [2_000, 200_000])
async def test_fetched_samples_that_are_uploaded_have_their_header_too(size):
    files = Keeping()
    async with running({"/a": answer(bytes(size))}) as server:
        url = f"http://127.0.0.1:{server.port}/a"
        part = {"type": "input_audio", "input_audio": {"data": url, "format": "pcm16"}}
        with pytest.raises(InvalidMedia):
            await take(server, part, files=files, upload_above_bytes=1_000)
    assert files.sizes == [("audio/wav", b"RIFF", size + 54)]


async def test_the_temporary_file_is_gone_when_the_upload_fails(monkeypatch):
    made = []
    temporary = spool.tempfile.TemporaryFile

    def remember(**options):
        made.append(temporary(**options))
        return made[-1]

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", remember)
    body = sample("mp4") + bytes(3_000_000)
    files = Refusing()
    async with running({"/a": answer(body)}) as server:
        with pytest.raises(GatewayError) as caught:
            await take(server, file_url(server, "/a"), files=files, upload_above_bytes=1_000_000)
    assert (caught.value.code, caught.value.param) == (
        "media_not_processed",
        "messages[0].content[0].file",
    )
    assert files.sizes == [len(body)]
    assert [file.closed for file in made] == [True]


async def test_a_full_disk_is_not_the_fault_of_the_url(monkeypatch):
    def full(**_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", full)
    async with running({"/a": answer(sample("mp4") + bytes(3_000_000))}) as server:
        with pytest.raises(Unavailable) as caught:
            await take(
                server, file_url(server, "/a"), files=Refusing(), upload_above_bytes=1_000_000
            )
    assert caught.value.param == "messages[0].content[0].file"
