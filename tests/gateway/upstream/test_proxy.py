"""Through an HTTP proxy: a tunnel for each connection, TLS to Gemini itself within it."""

import asyncio
import base64

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.errors import UpstreamError
from gateway.exchange import Notes, Outcome, UpstreamCall
from tests.faults.scripted import LAST, ScriptedUpstream, answer
from tests.tls import client_context, server_context


class Proxy:
    """Takes CONNECT and passes bytes on; whatever is asked for, it connects to *port*.

    Its *refusal* is what it answers instead.
    """

    def __init__(self, port: int, refusal: bytes = b"") -> None:
        self.refusal = refusal
        self.heads = []
        self._port = port
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            await self._tunnel(reader, writer)
        except asyncio.CancelledError:
            # asyncio's streams would complain of it.
            writer.close()

    async def _tunnel(self, reader, writer):
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if self.refusal:
            writer.write(self.refusal)
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pass(reader, back), _pass(there, writer))


async def _pass(reader, writer):
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    finally:
        writer.close()


@pytest.fixture
async def google(monkeypatch):
    """Yield the port of Gemini, which speaks TLS and is trusted."""
    # What aiohttp made when it was imported trusts the machine's authorities.
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", client_context())

    async def call(request):
        await request.read()
        return web.json_response(LAST)

    async def list_models(_request):
        return web.json_response({"models": [{"name": "models/m"}]})

    app = web.Application()
    app.router.add_post("/v1beta/models/m:generateContent", call)
    app.router.add_get("/v1beta/models", list_models)
    serving = TestServer(app)
    await serving.start_server(ssl=server_context("gemini.example"))
    yield serving.port
    await serving.close()


async def ask(upstream):
    call = UpstreamCall("m", {}, stream=False)
    async with upstream.open(call, Outcome(), Notes()) as batches:
        return [one async for batch in batches for one in batch]


async def test_calls_share_a_tunnel_and_lists_go_through_it_too(gemini, google):
    async with Proxy(google) as proxy:
        url = f"http://me:p%40ss@127.0.0.1:{proxy.port}"
        upstream = await gemini("https://gemini.example", proxy=url)
        for _ in range(3):
            assert await ask(upstream) == [LAST]
        assert len(proxy.heads) == 1
        assert [model["name"] for model in await upstream.models()] == ["models/m"]
        authorization = base64.b64encode(b"me:p@ss").decode()
        for head in proxy.heads:
            assert head.startswith("CONNECT gemini.example:443 HTTP/1.1\r\n")
            assert f"Proxy-Authorization: Basic {authorization}\r\n" in head
            assert "key-1" not in head


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n", "407, message='Who are you?'"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502"),
        (b"SSH-2.0-OpenSSH\r\n", "Bad status line"),
    ],
)
async def test_what_it_refuses_is_told_in_the_log_only(gemini, google, refusal, reason):
    async with Proxy(google, refusal) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        upstream = await gemini("https://gemini.example", proxy=url, max_attempts=2)
        with structlog.testing.capture_logs() as lines:
            with pytest.raises(UpstreamError) as raised:
                await ask(upstream)
            proxy.refusal = b""
            assert await ask(upstream) == [LAST]
    assert raised.value.message == "The upstream could not be reached."
    events = [line["event"] for line in lines]
    assert events == ["upstream_unreachable", "upstream_reachable"]
    assert reason in lines[0]["reason"]


async def test_one_that_the_environment_names_is_not_asked(gemini, monkeypatch, unused_tcp_port):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    models = {"models": [{"name": "models/m"}]}
    async with ScriptedUpstream(answer(200, LAST), answer(200, models)) as scripted:
        upstream = await gemini(scripted.url)
        assert await ask(upstream) == [LAST]
        assert await upstream.models() == models["models"]


async def test_one_that_is_not_there_is_named_in_the_log(gemini, unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}"
    upstream = await gemini("https://gemini.example", proxy=url, max_attempts=1)
    with structlog.testing.capture_logs() as lines, pytest.raises(UpstreamError):
        await ask(upstream)
    assert f"127.0.0.1:{unused_tcp_port}" in lines[0]["reason"]
