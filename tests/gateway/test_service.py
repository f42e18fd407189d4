import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import orjson
import pytest

from gateway.service import ARRIVING_S, restart_needed
from gateway.settings import Credential, License, Log, Models, Server, Settings, Upstream
from tests.patience import HANGING_S

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("fake_service.py")


class Process:
    """A gateway process: its log lines as they come, its address, its end."""

    def __init__(self, process: asyncio.subprocess.Process, config: Path) -> None:
        self._process, self.config = process, config
        self.lines: list[dict] = []

    async def line(self, event: str) -> dict:
        """Wait for the next log line with *event*."""
        async with asyncio.timeout(HANGING_S):
            while raw := await self._process.stderr.readline():
                line = orjson.loads(raw)
                self.lines.append(line)
                if line["event"] == event:
                    return line
        raise AssertionError(f"no {event!r} in {self.lines}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(HANGING_S):
            return await self._process.wait()


@pytest.fixture
async def start(tmp_path: Path):
    """Start processes of the fake service with a configuration; killed at the end."""
    running: list[asyncio.subprocess.Process] = []

    async def start(server: str = "") -> tuple[Process, str]:
        path = tmp_path / "config.toml"
        path.write_text(f"[server]\nport = 0\n{server}\n[log]\nformat = 'json'\n")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SCRIPT),
            str(path),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        running.append(process)
        service = Process(process, path)
        started = await service.line("started")
        return service, started["listen"][0].removesuffix("/gemini")

    yield start
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _read(session: aiohttp.ClientSession, url: str, begun: asyncio.Event) -> bytes:
    data = b""
    async with session.get(url) as response:
        async for chunk in response.content.iter_any():
            data += chunk
            begun.set()
    return data


async def _stop_during_stream(
    service: Process, session: aiohttp.ClientSession, url: str
) -> asyncio.Task[bytes]:
    """Have *service* drain after the first bytes of *url*; return what reads the others."""
    begun = asyncio.Event()
    reading = asyncio.create_task(_read(session, url, begun))
    await begun.wait()
    service.send(signal.SIGTERM)
    await service.line("draining")
    return reading


async def _readiness(url: str) -> int | None:
    """Return the status of `/readyz`, None if nobody listens."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as answer:
            return answer.status
    except aiohttp.ClientConnectorError:
        return None


async def test_the_first_line_says_where_it_listens_and_with_what(start):
    service, url = await start()
    line = service.lines[0]
    assert url.startswith("http://127.0.0.1:")
    assert line["listen"] == [f"{url}/gemini"]
    assert (line["credentials"], line["licenses"]) == (0, 0)


async def test_an_idle_process_stops_at_once(start):
    service, url = await start()
    async with aiohttp.ClientSession() as session:
        await (await session.get(f"{url}/pid")).read()
        service.send(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await service.ended() == 0


async def test_streams_finish_while_nobody_new_is_let_in(start):
    service, url = await start()
    async with aiohttp.ClientSession() as session:
        kept = await session.get(f"{url}/pid")
        await kept.read()
        begun = [asyncio.Event() for _ in range(20)]
        reading = [
            asyncio.create_task(_read(session, f"{url}/stream?n=50", event)) for event in begun
        ]
        for event in begun:
            await event.wait()
        service.send(signal.SIGTERM)
        await service.line("draining")
        # Longer than requests that are on their way may take.
        await asyncio.sleep(2 * ARRIVING_S)
        async with aiohttp.ClientSession() as other, other.get(f"{url}/readyz") as answer:
            assert (answer.status, (await answer.json())["reasons"]) == (503, ["draining"])
            assert answer.headers["Connection"] == "close"
        assert await asyncio.gather(*reading) == [b"." * 50 + b"whole"] * 20
    assert await service.ended() == 0


async def test_after_a_while_connections_are_refused_and_streams_go_on(start):
    service, url = await start("drain_listen_s = 0.2")
    async with aiohttp.ClientSession() as session:
        reading = await _stop_during_stream(service, session, f"{url}/stream?n=100")
        while await _readiness(url) is not None:
            assert not reading.done()
        assert await reading == b"." * 100 + b"whole"
    assert await service.ended() == 0


async def test_told_not_to_listen_any_longer_it_refuses_connections_before_requests(start):
    service, url = await start("drain_listen_s = 0")
    async with aiohttp.ClientSession() as session:
        reading = await _stop_during_stream(service, session, f"{url}/stream?n=50")
        assert await _readiness(url) is None
        assert await reading == b"." * 50 + b"whole"
    assert await service.ended() == 0


async def test_a_connection_ends_with_its_stream_once_the_drain_has_begun(start):
    """A proxy would send its next request there, and that would be refused."""
    service, url = await start()
    async with aiohttp.ClientSession() as session:
        begun = asyncio.Event()
        reading = asyncio.create_task(_read(session, f"{url}/stream?n=100", begun))
        await begun.wait()
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        writer.write(b"GET /stream?n=20 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b".")
        service.send(signal.SIGTERM)
        assert (await reader.read()).endswith(b"whole\r\n0\r\n\r\n")
        writer.close()
        assert not reading.done()
        await reading
    assert await service.ended() == 0


@pytest.mark.parametrize("again", [False, True])
async def test_at_the_bound_or_the_second_signal_requests_are_told_to_end(start, again):
    service, url = await start(f"drain_timeout_s = {3600 if again else 0.3}")
    async with aiohttp.ClientSession() as session:
        begun = asyncio.Event()
        stream = asyncio.create_task(_read(session, f"{url}/stream?n=100000", begun))
        waiting = asyncio.create_task(session.get(f"{url}/wait"))
        await begun.wait()
        service.send(signal.SIGTERM)
        await service.line("draining")
        if again:
            service.send(signal.SIGINT)
        assert (await stream).endswith(b"told to end")
        assert (await waiting).status == 503
    assert await service.ended() == 0


async def test_a_reload_takes_over_what_is_right_and_refuses_what_is_wrong(start):
    service, url = await start()
    async with aiohttp.ClientSession() as session:
        begun = asyncio.Event()
        stream = asyncio.create_task(_read(session, f"{url}/stream?n=60", begun))
        await begun.wait()
        good = service.config.read_text()
        for text, event in [("[server]\nprot = 1", "reload_refused"), (good, "reloaded")] * 5:
            service.config.write_text(text)
            service.send(signal.SIGHUP)
            line = await service.line(event)
            if event == "reload_refused":
                assert line["reason"].startswith("server.prot: unknown option")
        service.config.write_text(good.replace("port = 0", "port = 1"))
        service.send(signal.SIGHUP)
        assert (await service.line("took_over"))["port"] == 1
        assert (await service.line("reloaded"))["restart_needed_for"] == ["server"]
        assert await stream == b"." * 60 + b"whole"


async def test_a_reload_that_hangs_holds_up_neither_requests_nor_the_end(start):
    service, url = await start()
    pipe = service.config.with_suffix(".pipe")
    os.mkfifo(pipe)
    service.send(signal.SIGHUP)
    writer = await _read_by_somebody(pipe)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/pid") as answer:
        assert answer.status == 200
    service.send(signal.SIGTERM)
    assert await service.ended() == 0
    os.close(writer)


async def test_a_reload_that_would_wait_for_a_pipe_is_refused_and_the_next_one_is_not(start):
    service, _ = await start()
    good = service.config.read_text()
    service.config.unlink()
    os.mkfifo(service.config)
    service.send(signal.SIGHUP)
    line = await service.line("reload_refused")
    assert "cannot be read: it is a pipe or a device" in line["reason"]
    service.config.unlink()
    service.config.write_text(good)
    service.send(signal.SIGHUP)
    await service.line("reloaded")


async def _read_by_somebody(fifo: Path) -> int:
    """Return the writing end of *fifo* once somebody reads there."""
    async with asyncio.timeout(HANGING_S):
        while True:
            try:
                return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                await asyncio.sleep(0.01)


async def test_what_waits_for_a_restart_is_named_until_it_is_set_back(start):
    service, _ = await start("drain_timeout_s = 3.0")
    first, needed = service.config.read_text(), []
    changed = first.replace("3.0", "4.0")
    for text in (changed, changed, first):
        service.config.write_text(text)
        service.send(signal.SIGHUP)
        needed.append((await service.line("reloaded"))["restart_needed_for"])
    assert needed == [["server"], ["server"], []]


async def test_a_reload_changes_the_level_of_the_log(start):
    service, url = await start()
    service.config.write_text("[log]\nformat = 'json'\nlevel = 'error'")
    service.send(signal.SIGHUP)
    async with aiohttp.ClientSession() as session:
        while not (await session.get(f"{url}/healthz")).ok:
            pass
    await asyncio.sleep(0.3)
    service.send(signal.SIGTERM)
    assert await service.ended() == 0
    assert await service._process.stderr.read() == b""


def test_sections_that_are_read_only_at_start_are_named():
    old = Settings()
    credentials = (Credential(name="a", key="x"),)
    same = Settings(
        upstream=Upstream(credentials=credentials),
        licenses=(License(id="a", key="x"),),
        models=Models(list_ttl_s=1),
        log=Log(level="debug"),
    )
    assert restart_needed(old, same) == []
    other = Settings(server=Server(port=1), upstream=Upstream(idle_timeout_s=1))
    assert restart_needed(old, other) == ["server", "upstream"]
