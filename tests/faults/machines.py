"""Gateway processes as on several machines, that can be killed, and clients that keep asking."""

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp
import orjson

from tests.patience import HANGING_S

ROOT = Path(__file__).parents[2]
CHAT = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
# With one license; tables of further ones may follow.
CONFIG = """
[upstream]
base_url = "{upstream}"
[[upstream.credentials]]
name = "main"
key = "upstream-key"
[state]
url = "{state}"
timeout_s = 5
[database]
url = "{database}"
[log]
format = "json"
[[licenses]]
id = "alice"
key = "license-of-alice"
"""


class Machine:
    """One machine's gateway: a folder of its own, and the processes in it."""

    def __init__(self, folder: Path, config: str, workers: int) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._workers = workers
        folder.mkdir()
        (folder / "config.toml").write_text(f"[server]\nport = 0\nworkers = {workers}\n{config}")

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve"),
                cwd=self._folder,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        [started] = await self.told("started")
        self.url = started["listen"][0]
        self._pids = [self._process.pid]
        if self._workers > 1:
            self._pids += [line["pid"] for line in await self.told("worker_started", self._workers)]
        return self

    async def __aexit__(self, *_) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    def lines(self, event: str) -> list[dict]:
        lines = [line for line in self._log.read_bytes().splitlines() if line.endswith(b"}")]
        return [line for line in map(orjson.loads, lines) if line["event"] == event]

    async def told(self, event: str, times: int = 1) -> list[dict]:
        """Wait until the log tells of *event* so many *times*."""
        async with asyncio.timeout(HANGING_S):
            while len(lines := self.lines(event)) < times:
                assert self._process.returncode is None, self._log.read_text()[-2000:]
                await asyncio.sleep(0.05)
        return lines

    async def kill(self) -> None:
        """End all processes at once, with no chance to say goodbye."""
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
        await self._process.wait()


@dataclass
class Asked:
    """What became of one request; *at* is monotonic."""

    id: str
    url: str
    status: int
    at: float
    error: dict | None = None


@dataclass
class Load:
    """Clients that ask one gateway after another, each request with an id of its own."""

    urls: list[str]
    license: str
    asked: list[Asked] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def running(self, clients: int = 6):
        async with aiohttp.ClientSession() as session:
            tasks = [asyncio.create_task(self._client(session, n)) for n in range(clients)]
            try:
                yield
            finally:
                self._over = True
                await asyncio.gather(*tasks)

    _over = False

    async def _client(self, session, number: int) -> None:
        turn = 0
        while not self._over:
            turn += 1
            url = self.urls[(number + turn) % len(self.urls)]
            try:
                self.asked.append(await ask(session, url, self.license, f"r-{number}-{turn}"))
            except aiohttp.ClientError:
                self.broken.append(url)
            await asyncio.sleep(0.03)


async def ask(session, url: str, license_: str, id_: str, **more) -> Asked:
    """Ask once for a whole answer."""
    headers = {"Authorization": license_, "X-Request-Id": id_}
    chat = f"{url}/v1/chat/completions"
    async with session.post(chat, json=CHAT | more, headers=headers) as response:
        error = (await response.json()).get("error")
        return Asked(id_, url, response.status, time.monotonic(), error)
