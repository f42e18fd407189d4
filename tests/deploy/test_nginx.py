"""The shipped nginx configuration, run by the real nginx in front of a scripted gateway."""

import asyncio
import os
import re
import shutil
import signal
import time
import tomllib
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web

from gateway.network.sockets import listen
from gateway.settings import Server, Upstream
from tests.faults.processes import gateway_process
from tests.faults.scripted import LAST, ScriptedUpstream, answer, stream
from tests.running import Gateway, settings_for

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "nginx" / "gateway.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gateway.conf;
}}
"""


class ScriptedGateway:
    """Stands behind nginx and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.left = asyncio.Event()
        app = web.Application(client_max_size=1 << 30)
        for handler in (self.events, self.silence, self.size, self.address, self.refuse, self.drop):
            app.router.add_route("*", f"/gemini/{handler.__name__}", handler)
        self.runner = web.AppRunner(app, handler_cancellation=True)

    async def start(self, port: int) -> None:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", port).start()

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for number in range(int(request.query.get("n", "5"))):
                await response.write(f"data: {number}\n\n".encode())
                await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return response

    async def silence(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(float(request.query["s"]))
        return web.Response(text="after all")

    async def size(self, request: web.Request) -> web.StreamResponse:
        size = 0
        async for data in request.content.iter_any():
            size += len(data)
        return web.json_response(size)

    async def address(self, request: web.Request) -> web.StreamResponse:
        names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Proto")
        return web.json_response({name: request.headers.getall(name, []) for name in names})

    async def refuse(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "mine"}}, status=503)

    async def drop(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.method)
        request.transport.abort()
        return web.Response()


def free_port() -> int:
    (sock,) = listen("127.0.0.1", 0)
    with sock:
        return sock.getsockname()[1]


@pytest.fixture
async def run_nginx(tmp_path):
    """Run nginx with the shipped file, its ports and some of its figures replaced."""
    running = []

    async def run(gateway_port: int, another: int | None = None, **figures: str) -> str:
        port, text = free_port(), SHIPPED.read_text()
        if another is not None:
            for pattern, instead in (
                (r"server 127.0.0.1:8080;.*", ""),
                (r"#server 10.0.0.1:8080 ", f"server 127.0.0.1:{gateway_port} "),
                (r"#server 10.0.0.2:8080 ", f"server 127.0.0.1:{another} "),
                (r"proxy_next_upstream off;\s*#", ""),
            ):
                text, count = re.subn(pattern, instead, text)
                assert count == 1
        text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{gateway_port}")
        text = text.replace("/var/log/nginx", str(tmp_path))
        for name, figure in figures.items():
            text, count = re.subn(rf"(\b{name}) \w+;", rf"\1 {figure};", text)
            assert count == 1
        (tmp_path / "gateway.conf").write_text(text)
        user = "user root;" if os.getuid() == 0 else ""
        main = tmp_path / "nginx.conf"
        main.write_text(MAIN.format(folder=tmp_path, user=user))
        process = await asyncio.create_subprocess_exec(
            NGINX, "-c", str(main), stderr=asyncio.subprocess.DEVNULL
        )
        running.append(process)
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return f"http://127.0.0.1:{port}"
                except OSError:
                    assert process.returncode is None, (tmp_path / "error.log").read_text()
                    await asyncio.sleep(0.05)

    yield run
    for process in running:
        process.terminate()
        await process.wait()


@pytest.fixture
async def behind(run_nginx):
    """Run nginx in front of a scripted gateway; gives both."""
    gateways = []

    async def behind(another: int | None = None, **figures: str) -> tuple[str, ScriptedGateway]:
        gateway, port = ScriptedGateway(), free_port()
        gateways.append(gateway)
        await gateway.start(port)
        return await run_nginx(port, another, **figures), gateway

    yield behind
    for gateway in gateways:
        await gateway.runner.cleanup()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@needs_nginx
async def test_events_arrive_one_by_one(behind, session):
    url, _ = await behind()
    async with session.get(f"{url}/gemini/events", headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Content-Encoding" not in answer.headers
        times = [time.monotonic() async for _ in answer.content.iter_any()]
    assert len(times) == 5
    assert times[-1] - times[0] > 0.4


@needs_nginx
async def test_no_license_of_a_query_is_logged(behind, session, tmp_path):
    url, _ = await behind()
    async with session.get(f"{url}/gemini/address?key=gw-secret") as answer:
        assert answer.status == 200
    log = tmp_path / "gateway.log"
    async with asyncio.timeout(5):
        while not log.stat().st_size:
            await asyncio.sleep(0.05)
    assert '"GET /gemini/address HTTP/1.1" 200' in log.read_text()
    assert "gw-secret" not in log.read_text()


@needs_nginx
async def test_the_address_of_the_client_cannot_be_forged(behind, session):
    url, _ = await behind()
    forged = {"X-Forwarded-For": "8.8.8.8", "X-Real-IP": "8.8.8.8", "Forwarded": "for=8.8.8.8"}
    async with session.get(f"{url}/gemini/address", headers=forged) as answer:
        assert await answer.json() == {
            "X-Forwarded-For": ["127.0.0.1"],
            "X-Real-IP": ["127.0.0.1"],
            "Forwarded": [],
            "X-Forwarded-Proto": ["http"],
        }


@needs_nginx
async def test_silence_within_the_limit_is_survived_and_beyond_it_is_told_in_json(behind, session):
    url, _ = await behind(proxy_read_timeout="2s")
    async with session.get(f"{url}/gemini/silence?s=1.2") as answer:
        assert await answer.text() == "after all"
    async with session.post(f"{url}/gemini/silence?s=30") as answer:
        assert (answer.status, answer.content_type) == (504, "application/json")
        assert (await answer.json())["error"]["code"] == "upstream_timeout"


@pytest.mark.soak
@needs_nginx
async def test_seventy_seconds_of_silence_are_survived(run_nginx, running):
    """The shipped file and the shipped figures of the gateway, in real time."""
    shipped = Upstream()
    limits = {
        "first_event_timeout_s": shipped.first_event_timeout_s,
        "idle_timeout_s": shipped.idle_timeout_s,
    }

    def late(seen, _number):
        return [70.0, *(stream(LAST) if "stream" in seen.path else answer(200, LAST))]

    async with (
        ScriptedUpstream(late) as upstream,
        running(settings_for(upstream.url, upstream=limits)) as gateway,
    ):
        port = int(gateway.url.removesuffix("/gemini").rsplit(":", 1)[1])
        gateway.url = f"{await run_nginx(port)}/gemini"
        began = time.monotonic()
        streamed, (status, body, _) = await asyncio.gather(gateway.stream(), gateway.whole())
        assert time.monotonic() - began >= 70
        assert (streamed.text, streamed.finish_reasons, streamed.done) == ("end", ["stop"], True)
        assert (status, body["choices"][0]["message"]["content"]) == (200, "end")
        assert len(upstream.seen) == 2


@needs_nginx
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_twenty_megabytes_passes(behind, session, chunked):
    async def pieces():
        for _ in range(20):
            yield b"x" * 1_000_000

    url, _ = await behind()
    headers = {} if chunked else {"Content-Length": "20000000"}
    async with session.post(f"{url}/gemini/size", data=pieces(), headers=headers) as answer:
        assert await answer.json() == 20_000_000


@needs_nginx
async def test_a_body_over_the_limit_is_refused_in_json(behind, session):
    url, _ = await behind(client_max_body_size="1m")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(b"POST /gemini/size HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
    answer = await reader.readuntil(b"}}")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/json" in answer
    assert orjson.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["code"] == "request_too_large"
    writer.close()


@needs_nginx
@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        ("TRACE /gemini/size HTTP/1.1\r\nHost: x", 405, "method_not_allowed"),
        (f"GET /gemini/{'x' * 40_000} HTTP/1.1\r\nHost: x", 400, "invalid_request"),
        (f"GET /gemini/size HTTP/1.1\r\nHost: x\r\nX: {'x' * 40_000}", 400, "invalid_request"),
        ("GET /gemini/size HTTP/1.1", 400, "invalid_request"),
        ("nonsense", 400, "invalid_request"),
    ],
    ids=["method", "address", "header", "host", "nonsense"],
)
async def test_what_nginx_refuses_by_itself_is_told_in_json(behind, head, status, code):
    url, _ = await behind()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(f"{head}\r\n\r\n".encode())
    answer = await reader.readuntil(b"}}")
    writer.close()
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert b"Content-Type: application/json" in answer
    assert b"x-request-id: " in answer
    assert (b"allow: GET" in answer) == (status == 405)
    assert orjson.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["code"] == code


@needs_nginx
async def test_a_client_that_leaves_is_noticed_behind(behind, session):
    url, gateway = await behind()
    async with session.get(f"{url}/gemini/events?n=1000") as answer:
        await answer.content.readany()
        answer.close()
    await asyncio.wait_for(gateway.left.wait(), 5)


@needs_nginx
async def test_a_post_is_never_sent_twice(behind, session):
    url, gateway = await behind()
    async with session.post(f"{url}/gemini/drop", json={}) as answer:
        assert (answer.status, answer.content_type) == (502, "application/json")
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["X-Request-Id"]
        assert (await answer.json())["error"]["type"] == "server_error"
    assert gateway.asked == ["POST"]


@needs_nginx
async def test_a_machine_that_is_not_there_is_passed_over_and_no_post_is_sent_twice(
    behind, session
):
    url, gateway = await behind(another=free_port())
    # However often it was not there: in turn each of the two is asked first.
    for _ in range(6):
        async with session.post(f"{url}/gemini/size", data=b"x" * 1_000_000) as answer:
            assert (answer.status, await answer.json()) == (200, 1_000_000)
    async with session.post(f"{url}/gemini/drop", json={}) as answer:
        assert answer.status == 502
    assert gateway.asked == ["POST"]


@needs_nginx
async def test_of_two_machines_one_stops_and_no_client_notices(run_nginx, tmp_path):
    def port_of(machine: Gateway) -> int:
        return int(machine.url.removesuffix("/gemini").rsplit(":", 1)[1])

    def script(seen, _number):
        return stream(LAST) if "stream" in seen.path else answer(200, LAST)

    async def ask(machine: Gateway, stopping: asyncio.Event) -> list[int]:
        statuses = []
        while not stopping.is_set() or len(statuses) < 20:
            streamed = await machine.stream()
            assert streamed.done or streamed.status != 200
            statuses += [(await machine.whole())[0], streamed.status]
        return statuses

    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    setting = "drain_listen_s = 0"
    async with (
        ScriptedUpstream(script) as upstream,
        gateway_process(folders[0], upstream, setting) as (process, one),
        gateway_process(folders[1], upstream, setting) as (_, two),
    ):
        one.url = f"{await run_nginx(port_of(two), another=port_of(one))}/gemini"
        stopping = asyncio.Event()
        asking = [asyncio.create_task(ask(one, stopping)) for _ in range(4)]
        while len(upstream.seen) < 20:
            await one.tick()
        process.send(signal.SIGTERM)
        assert await process.ended() == 0
        stopping.set()
        assert {status for statuses in await asyncio.gather(*asking) for status in statuses} == {
            200
        }


@needs_nginx
async def test_what_the_gateway_answers_passes_as_it_is(behind, session):
    url, _ = await behind()
    async with session.get(f"{url}/gemini/refuse") as answer:
        assert (answer.status, await answer.json()) == (503, {"error": {"message": "mine"}})


@needs_nginx
async def test_a_gateway_that_is_not_there_is_told_in_json(run_nginx, session):
    url = await run_nginx(free_port())
    async with session.get(f"{url}/gemini/v1/models") as answer:
        assert (answer.status, answer.content_type) == (502, "application/json")
    async with session.get(f"{url}/elsewhere") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")


def figure(name: str) -> int:
    """Return a figure of the shipped file in seconds or bytes."""
    found = re.search(rf"\b{name} (\d+)(s|m);", SHIPPED.read_text())
    assert found is not None
    return int(found[1]) * {"s": 1, "m": 1_048_576}[found[2]]


def test_the_shipped_figures_leave_the_gateway_its_own_limits():
    server, upstream = Server(), Upstream()
    assert figure("proxy_read_timeout") > upstream.deadline_s
    # Gemini may think for 70 s before its first event; each of these alone would end that.
    assert figure("proxy_read_timeout") > 70
    assert upstream.first_event_timeout_s > 70
    assert upstream.deadline_s > 70
    assert figure("proxy_send_timeout") > server.send_timeout_s
    assert figure("client_max_body_size") == server.max_body_bytes
    config = tomllib.loads((ROOT / "config.toml").read_text())
    assert f"server 127.0.0.1:{config['server']['port']};" in SHIPPED.read_text()
    assert f"location {config['server']['prefix']} " in SHIPPED.read_text()


@needs_nginx
async def test_a_license_bound_to_an_address_holds_through_nginx_and_beside_it(run_nginx, running):
    """The client's address is the one nginx saw; a claim of the client counts on neither way."""
    bound = [{"id": "bound", "key": "bound-license", "networks": ["127.0.0.2/32"]}]
    # Nothing listens there: only who is let in gets as far as asking.
    settings = settings_for("http://127.0.0.1:1", licenses=bound)
    async with running(settings) as gateway:
        direct = gateway.url.removesuffix("/gemini")
        through = await run_nginx(int(direct.rsplit(":", 1)[1]))
        for url, source, expected in [
            (through, "127.0.0.2", True),
            (through, "127.0.0.1", False),
            (direct, "127.0.0.2", True),
            (direct, "127.0.0.3", False),
        ]:
            connector = aiohttp.TCPConnector(local_addr=(source, 0))
            headers = {"Authorization": "bound-license", "X-Forwarded-For": "127.0.0.2"}
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.post(f"{url}/gemini/v1/chat/completions", json={}, headers=headers) as told,
            ):
                assert (told.status != 403) == expected, (url, source)
