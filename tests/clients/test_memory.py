"""What held streams cost a gateway process."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.faults.scripted import END, LAST, SSE, STALL, ScriptedUpstream, chunk, data, event
from tests.patience import HANGING_S
from tests.running import streamed

ROOT = Path(__file__).parents[2]
STREAMS = 200
CONFIG = """
[server]
port = {port}
[upstream]
base_url = "{url}"
[[upstream.credentials]]
name = "main"
key = "AIzaSyNeverToBeSeen-memory"
[[licenses]]
id = "tester"
key = "tester"
[database]
url = "sqlite+aiosqlite:///{folder}/gateway.db"
"""


def marker_of(seen) -> str:
    return seen.body["contents"][0]["parts"][0]["text"]


def held(seen, _number) -> list:
    return [SSE, chunk(data(event(f"{marker_of(seen)} "))), STALL, chunk(data(LAST)), END]


async def ask(session, url: str, marker: str) -> str:
    body = {
        "model": "gemini-2.5-flash",
        "stream": True,
        "messages": [{"role": "user", "content": marker}],
    }
    headers = {"Authorization": "tester"}
    async with session.post(url, json=body, headers=headers) as response:
        return streamed(await response.read()).text


@pytest.fixture
async def process(tmp_path):
    """Run a gateway in front of an upstream that holds every stream."""
    async with ScriptedUpstream(held) as upstream:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        path = tmp_path / "config.toml"
        path.write_text(CONFIG.format(port=port, url=upstream.url, folder=tmp_path))
        log = (tmp_path / "log").open("wb")
        command = [sys.executable, "-m", "gateway", "--config", str(path)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        gateway = subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=log, stdout=log)
        try:
            yield gateway, f"http://127.0.0.1:{port}", upstream
        finally:
            gateway.terminate()
            await asyncio.to_thread(gateway.wait, 20)
            log.close()
        assert b"NeverToBeSeen" not in (tmp_path / "log").read_bytes()


async def ready(session, root: str) -> None:
    async with asyncio.timeout(HANGING_S):
        while True:
            try:
                async with session.get(f"{root}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.serial
async def test_two_hundred_held_streams_cost_less_than_sixty_kilobytes_each(process):
    gateway, root, upstream = process
    url = f"{root}/gemini/v1/chat/completions"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await ready(session, root)
        upstream.release.set()
        await asyncio.gather(*(ask(session, url, f"warm{n}") for n in range(20)))
        upstream.release.clear()
        idle = psutil.Process(gateway.pid).memory_info().rss
        count = len(upstream.seen) + STREAMS
        asks = [asyncio.create_task(ask(session, url, f"m{n}")) for n in range(STREAMS)]
        while len(upstream.seen) < count:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        grown = psutil.Process(gateway.pid).memory_info().rss - idle
        upstream.release.set()
        texts = await asyncio.gather(*asks)
    assert texts == [f"m{n} end" for n in range(STREAMS)]
    print(f"{grown / STREAMS / 1024:.1f} KiB a stream")
    assert grown / STREAMS < 60_000
