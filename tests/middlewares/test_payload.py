import asyncio
import gzip
import io
import threading
import time

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.errors import BadRequest, GatewayError
from gateway.keys import EXCHANGE, SETTINGS
from gateway.settings import Server, Settings
from middlewares import payload as payload_module
from middlewares.payload import MAX_DEPTH, THREAD_FROM_BYTES, Payload, parse, too_deep

LIMIT = 2_000_000


class FakeDialect:
    def check(self, payload):
        if "messages" not in payload:
            raise BadRequest("'messages' is missing.", param="messages")


class FakeExchange:
    dialect = FakeDialect()
    payload: dict


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.fixture
async def client():
    """Serve an echo behind the middleware; errors come as their status, code and message."""
    payload, held = Payload(), []

    @web.middleware
    async def edge(request, handler):
        request[EXCHANGE] = FakeExchange()
        try:
            return await handler(request)
        except GatewayError as error:
            body = {"code": error.code, "message": error.message, "param": error.param}
            return web.json_response(body, status=error.status)

    @web.middleware
    async def read(request, handler):
        return await payload(request, handler)

    async def echo(request):
        held.append(payload._buffers.size)
        body = io.BytesIO(orjson.dumps(request[EXCHANGE].payload))
        return web.Response(body=body, content_type="application/json")

    async def defer(request):
        return None

    app = web.Application(middlewares=[edge, read])
    app[SETTINGS] = Settings(
        server=Server(max_body_bytes=LIMIT, max_buffered_bytes=3 * LIMIT // 2, body_timeout_s=1)
    )
    app.cleanup_ctx.append(payload.lifespan)
    app.router.add_post("/", echo, expect_handler=defer)
    server = TestServer(app)
    await server.start_server(auto_decompress=False)
    async with TestClient(server) as client:
        client.payload, client.held = payload, held
        yield client


async def post(client, body, **headers):
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with client.post("/", data=data, headers=headers) as response:
        return response.status, await response.json()


async def test_a_good_body_reaches_the_handler_parsed(client):
    body = {"messages": [{"role": "user", "content": "你好"}], "model": "m"}
    assert await post(client, orjson.dumps(body)) == (200, body)


async def test_a_large_body_is_parsed_too_and_its_bytes_are_counted_while_it_is_held(client):
    body = {"messages": ["x" * 1_500_000]}
    assert (await post(client, orjson.dumps(body)))[0] == 200
    assert client.held[0] > 1_500_000
    assert client.payload._buffers.size == 0


async def test_a_large_body_is_counted_while_it_is_parsed_for_a_client_that_left(
    client, monkeypatch
):
    def slow_parse(body):
        begun.set()
        assert go_on.wait(10)
        return parse(body)

    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(payload_module, "parse", slow_parse)
    asking = asyncio.create_task(post(client, b'{"messages":"' + b"x" * 1_500_000 + b'"}'))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    asking.cancel()
    await asyncio.sleep(0.05)
    assert client.payload._buffers.size > 1_500_000
    go_on.set()
    while client.payload._buffers.size:
        await asyncio.sleep(0.001)


async def test_the_dialect_names_what_is_missing(client):
    status, error = await post(client, b"{}")
    assert (status, error["param"]) == (400, "messages")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"{", "unexpected end"),
        (b"hello", "not valid JSON"),
        (b"model=x&messages=y", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a":NaN}', "line 1, column 6"),
        (b'{"a":1e400}', "infinity"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "not valid JSON"),
        (b'{"a":"\n"}', "control character"),
        (b'{"a":1}{"a":2}', "unexpected content"),
        (nested(MAX_DEPTH + 1), "deeper than 64"),
        (nested(500), "deeper than 64"),
        (b"[" * 1_000_000, "depth"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "depth"),
    ],
)
async def test_what_is_no_good_json_object_gets_a_400_that_says_why(client, body, complaint):
    status, error = await post(client, body)
    assert status == 400
    assert complaint in error["message"]


async def test_of_duplicate_keys_the_last_one_counts(client):
    body = b'{"messages":1,"model":"a","model":"b"}'
    assert await post(client, body) == (200, {"messages": 1, "model": "b"})


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"1,", b'{"a":1},'])
def test_a_body_of_nothing_but_values_is_refused_before_it_is_parsed(unit):
    body = b'{"a":[' + unit * (12_000_000 // len(unit)) + b"0]}"
    began = time.process_time()
    with pytest.raises(BadRequest, match="too many values"):
        parse(body)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    "unit", ['{"a":1,"b":[2,3]},', "12,50.1,7,", "Well, yes: no, but [perhaps]. "]
)
def test_a_text_as_long_as_any_model_reads_is_no_heap_of_values(unit):
    text = unit * (4_000_000 // len(unit))
    assert parse(orjson.dumps({"messages": [text]})) == {"messages": [text]}


@pytest.mark.parametrize("depth", [2, 3, MAX_DEPTH - 1, MAX_DEPTH])
def test_what_nests_up_to_the_limit_is_taken(depth):
    assert parse(nested(depth))


def test_only_what_nests_deeper_is_too_deep_however_wide_it_is():
    assert not too_deep({"a": [[{}] * 100 for _ in range(100)]})
    assert too_deep(orjson.loads(nested(MAX_DEPTH + 1)))


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity"])
async def test_a_compressed_body_is_refused(client, encoding):
    status, error = await post(client, gzip.compress(b"{}"), **{"Content-Encoding": encoding})
    assert (status, error["code"]) == (415, "unsupported_content_encoding")


async def test_the_encoding_identity_is_none(client):
    assert (await post(client, b'{"messages":1}', **{"Content-Encoding": "identity"}))[0] == 200


async def test_a_chunked_body_is_cut_at_the_limit(client):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    status, error = await post(client, endless())
    assert (status, error["code"]) == (413, "request_too_large")
    assert sent < 20 * LIMIT


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(client, size, status, is_chunked):
    body = b'{"messages":1}'.ljust(size)

    async def pieces():
        yield body

    assert (await post(client, pieces() if is_chunked else body))[0] == status


async def raw(client, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)
    return reader, writer


async def test_a_length_over_the_limit_is_refused_before_any_byte_of_the_body(client):
    reader, writer = await raw(client, b"Content-Length: 3000000\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_body_that_does_not_arrive_in_time_is_given_up(client):
    reader, writer = await raw(client, b'Content-Length: 100\r\n\r\n{"a')
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    assert client.payload._buffers.size == 0
    writer.close()


async def test_a_client_that_asks_first_is_told_to_go_on(client):
    reader, writer = await raw(client, b"Expect: 100-continue\r\nContent-Length: 14\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b'{"messages":1}')
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_an_old_client_would_take_being_told_to_go_on_for_its_answer(client):
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n")
    writer.write(b'{"messages":1}')
    assert (await reader.readline()).startswith(b"HTTP/1.0 200")
    writer.close()


async def test_a_client_that_asks_first_is_refused_without_sending(client):
    reader, writer = await raw(client, b"Expect: 100-continue\r\nContent-Length: 3000000\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_too_many_large_bodies_at_once_are_shed(client):
    """Two bodies of 1.9 MB are held while only 3 MB may be; the second is told to come again."""
    half = b'{"messages":"' + b"x" * 1_900_000
    reader, writer = await raw(client, b"Content-Length: 1900015\r\n\r\n" + half)
    await writer.drain()
    while client.payload._buffers.size < 1_800_000:
        await asyncio.sleep(0)
    status, error = await post(client, half + b'"}')
    assert (status, error["code"]) == (503, "unavailable")
    writer.write(b'"}')
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert client.payload._buffers.size == 0
    writer.close()


@pytest.mark.parametrize(
    "value",
    [
        "1",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "[{}, [-9223372036854775809]]",
        "1e400",
        "NaN",
        '"\\ud83d\\ude00"',
        '"\\ud800"',
        '"\x01"',
        "[1, 2,]",
        "01",
        "[" * 70 + "]" * 70,
        "[" * 3000 + "]" * 3000,
    ],
)
def test_a_large_body_means_the_same_as_a_small_one(value):
    def outcome(padding):
        try:
            payload = parse(b'{"value": %b, "padding": "%b"}' % (value.encode(), padding))
        except BadRequest as error:
            return str(error)
        return repr(payload["value"])

    assert outcome(b"x" * THREAD_FROM_BYTES) == outcome(b"")


async def test_without_a_bound_it_is_what_the_memory_allows_and_larger_bodies_are_too_large(
    monkeypatch,
):
    monkeypatch.setattr(payload_module, "buffered_bytes", lambda workers: 10_000 // workers)
    payload, app = Payload(), web.Application()
    app[SETTINGS] = Settings(server=Server(workers=2))
    lifespan = payload.lifespan(app)
    await anext(lifespan)
    assert (payload._max_bytes, payload._buffers._max_bytes) == (5_000, 5_000)
    app[SETTINGS] = Settings(server=Server(max_body_bytes=1_000))
    await anext(payload.lifespan(app))
    assert (payload._max_bytes, payload._buffers._max_bytes) == (1_000, 10_000)
