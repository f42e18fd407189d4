"""The headers every answer carries, whatever a client has named its fields."""

import time

import aiohttp
import orjson
import pytest
from aiohttp import web

from gateway.answers import WholeAnswer, json_response, note_headers
from gateway.dialects import DIALECTS
from gateway.exchange import Exchange, Notes


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
    one.asked = "asked"
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
    told = note_headers(notes)["x-gateway-dropped"]
    assert told.startswith("a??Set-Cookie: x??, field0")
    assert len(told) == 1024
    assert told.endswith("...")


async def served(aiohttp_client, answer):
    app = web.Application()
    app.router.add_route("*", "/", answer)
    return await aiohttp_client(app)


async def test_a_whole_answer_is_the_one_that_aiohttp_would_write(aiohttp_client):
    """Also where more is to be looked at: HEAD, old clients, cookies, other forms of body."""

    def plain(request):
        return web.Response(body=b'{"a":1}', headers={"Content-Type": "application/json"})

    def own(request):
        return WholeAnswer(body=b'{"a":1}', headers={"Content-Type": "application/json"})

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
            return response

        async def answer(request):
            return make(request)

        return answer

    expected, found = (
        await served(aiohttp_client, changed(plain)),
        await served(aiohttp_client, changed(own)),
    )
    for method in ("GET", "POST", "HEAD"):
        for case in ("", "cookie", "compressed", "closed", "text", "header"):
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
        return WholeAnswer(body=b"{}", headers={"X-A": request.query["value"]})

    client = await served(aiohttp_client, answer)
    for value in ("a\r\nSet-Cookie: b", "a\nb", "a\rb"):
        # As aiohttp does: nothing of it is sent.
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get("/", params={"value": value})


async def test_head_and_body_leave_in_one_write(aiohttp_client, monkeypatch):
    writes = []

    async def answer(request):
        transport = request.transport
        monkeypatch.setattr(
            request.protocol, "transport", Recording(transport, writes), raising=False
        )
        return WholeAnswer(body=b"{}")

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
