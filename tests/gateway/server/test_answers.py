"""The headers every answer carries, whatever a client has named its fields."""

import asyncio
import re
import time

import aiohttp
import orjson
import pytest
from aiohttp import web

from gateway.dialects import DIALECTS
from gateway.exchange import Exchange, Notes
from gateway.server.answers import EventStream, WholeAnswer, json_response, note_headers


def exchange() -> Exchange:
    return Exchange(id="abc", dialect=DIALECTS["openai_chat"], started=time.monotonic())


def test_every_answer_says_whose_it_is_and_how_long_it_took():
    response = json_response({"a": 1}, exchange(), 418)
    assert (response.status, orjson.loads(response.body)) == (418, {"a": 1})
    assert response.headers["x-request-id"] == "abc"
    assert int(response.headers["openai-processing-ms"]) >= 0
    assert "x-gateway-version" in response.headers
    assert "x-gateway-model" not in response.headers


def test_headers_of_middlewares_go_along():
    one = exchange()
    one.headers["x-ratelimit-limit-requests"] = "60"
    assert json_response({}, one).headers["x-ratelimit-limit-requests"] == "60"


def test_the_model_is_told_when_another_one_answered():
    one = exchange()
    one.requested_model = "asked"
    one.outcome.model = "asked"
    assert "x-gateway-model" not in json_response({}, one).headers
    one.outcome.model = "another"
    assert json_response({}, one).headers["x-gateway-model"] == "another"


def test_what_was_changed_and_dropped_is_told():
    notes = Notes()
    notes.adjust("temperature", "dropped", "model")
    notes.drop("logit_bias")
    notes.drop("store")
    assert note_headers(notes) == {
        "x-gateway-adjusted": "temperature=dropped;reason=model",
        "x-gateway-dropped": "logit_bias, store",
    }


def test_names_from_clients_cannot_break_or_flood_the_header():
    notes = Notes()
    notes.drop("a\r\nSet-Cookie: x\x00漢")
    for number in range(1000):
        notes.drop(f"field{number}")
    header = note_headers(notes)["x-gateway-dropped"]
    assert header.startswith("a??Set-Cookie: x??, field0")
    assert len(header) == 1024
    assert header.endswith("...")


async def served(aiohttp_client, answer):
    app = web.Application()
    app.router.add_route("*", "/", answer)
    return await aiohttp_client(app)


async def test_a_whole_answer_is_the_one_that_aiohttp_would_write(aiohttp_client):
    """Also where more is to be looked at: HEAD, old clients, cookies, other forms of body."""

    def plain(request):
        return web.Response(body=b'{"a":1}', headers={"Content-Type": "application/json"})

    def own(request):
        return WholeAnswer(b'{"a":1}', 200, {"Content-Type": "application/json"})

    def changed(kind):
        def make(request):
            response = kind(request)
            case = request.query.get("case")
            if case == "cookie":
                response.set_cookie("a", "b")
            elif case == "compressed":
                response.enable_compression(force=web.ContentCoding.gzip)
            elif case == "closed":
                response.force_close()
            elif case == "text":
                response.text = "für"
            elif case == "header":
                response.headers.add("X-Two", "1")
                response.headers.add("X-Two", "2")
            elif case == "reflected":
                # As aiohttp reads bytes that are not UTF-8.
                response.headers["X-Origin"] = "http://\udcff漢"
            return response

        async def answer(request):
            return make(request)

        return answer

    expected, found = (
        await served(aiohttp_client, changed(plain)),
        await served(aiohttp_client, changed(own)),
    )
    for method in ("GET", "POST", "HEAD"):
        for case in ("", "cookie", "compressed", "closed", "text", "header", "reflected"):
            answers = []
            for client in (expected, found):
                async with client.request(method, "/", params={"case": case}) as response:
                    headers = [
                        (name.lower(), value)
                        for name, value in response.headers.items()
                        if name not in ("Date", "Server")
                    ]
                    answers.append((response.status, sorted(headers), await response.read()))
            assert answers[0] == answers[1], (method, case)


async def test_what_would_split_a_head_in_two_is_refused(aiohttp_client):
    async def answer(request):
        return WholeAnswer(b"{}", 200, {"X-A": request.query["value"]})

    client = await served(aiohttp_client, answer)
    for value in ("a\r\nSet-Cookie: b", "a\nb", "a\rb"):
        # As aiohttp does: nothing of it is sent.
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get("/", params={"value": value})


async def test_head_and_body_leave_in_one_write(aiohttp_client):
    writes = []

    async def answer(request):
        transport = request.transport
        request.protocol.transport = Recording(transport, writes)
        return WholeAnswer(b"{}", 200, {})

    client = await served(aiohttp_client, answer)
    async with client.get("/") as response:
        assert await response.read() == b"{}"
    (one,) = writes
    assert one.startswith(b"HTTP/1.1 200 OK\r\n")
    assert one.endswith(b"\r\n\r\n{}")


class Recording:
    """A transport that notes what is written to it."""

    def __init__(self, transport, writes):
        self._transport = transport
        self._writes = writes

    def write(self, data):
        self._writes.append(bytes(data))
        self._transport.write(data)

    def __getattr__(self, name):
        return getattr(self._transport, name)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_a_stream_is_the_one_that_aiohttp_would_write(aiohttp_server, version, connection):
    def streamed(make):
        async def answer(request):
            response = make()
            await response.prepare(request)
            for piece in (b"one", bytearray(b"two"), memoryview(b"three"), b"x" * 100_000):
                await response.write(piece)
            await response.write_eof(b"last")
            return response

        return answer

    headers = {"Content-Type": "text/event-stream"}
    app = web.Application()
    app.router.add_get("/plain", streamed(lambda: web.StreamResponse(headers=headers)))
    app.router.add_get("/own", streamed(lambda: EventStream(time.monotonic, headers)))
    server = await aiohttp_server(app)
    answers = []
    for path in ("/plain", "/own"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = f"GET {path} HTTP/{version}\r\nHost: x\r\nConnection: {connection}\r\n\r\n"
        # A second request, to which it closes, shows that the connection was kept.
        last = "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        writer.write((head + last * (connection == "keep-alive")).encode())
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = {line for line in head.split(b"\r\n") if not line.startswith((b"Date", b"Server"))}
        answers.append((lines, re.sub(rb"Date: [^\r]*", b"", body)))
    if (version, connection) == ("1.0", "keep-alive"):
        # aiohttp keeps the connection, and so the body never ends; here it ends with it.
        assert answers[1][1].endswith(b"last")
        assert not any(b"keep-alive" in line for line in answers[1][0])
        return
    assert answers[0] == answers[1]
    assert b"last" in answers[1][1]


async def test_the_head_of_a_stream_leaves_with_its_first_chunk(aiohttp_client):
    writes = []

    async def answer(request):
        request.protocol.transport = Recording(request.transport, writes)
        response = EventStream(time.monotonic, {})
        await response.prepare(request)
        assert writes == []
        await response.write(b"one")
        assert response.writing_since is None
        await response.write_eof()
        return response

    client = await served(aiohttp_client, answer)
    async with client.get("/") as response:
        assert await response.read() == b"one"
    first, last = writes
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert last == b"0\r\n\r\n"


async def test_a_stream_without_a_chunk_has_its_head(aiohttp_client):
    async def answer(request):
        response = EventStream(time.monotonic, {"X-A": "b"})
        await response.prepare(request)
        await response.write_eof()
        return response

    client = await served(aiohttp_client, answer)
    async with client.get("/") as response:
        assert (response.headers["X-A"], await response.read()) == ("b", b"")


async def test_who_writes_to_a_client_that_is_gone_is_told(aiohttp_client):
    header = asyncio.get_running_loop().create_future()

    async def answer(request):
        response = EventStream(time.monotonic, {})
        await response.prepare(request)
        request.transport.abort()
        try:
            await response.write(b"one")
        except ConnectionResetError as error:
            header.set_result(error)
        return response

    client = await served(aiohttp_client, answer)
    with pytest.raises(aiohttp.ClientError):
        await client.get("/")
    assert isinstance(await header, ConnectionResetError)


async def test_an_empty_chunk_is_none(aiohttp_client):
    async def answer(request):
        response = EventStream(time.monotonic, {})
        await response.prepare(request)
        for piece in (b"", b"one", b"", b"two"):
            await response.write(piece)
        await response.write_eof()
        return response

    client = await served(aiohttp_client, answer)
    async with client.get("/") as response:
        assert await response.read() == b"onetwo"
