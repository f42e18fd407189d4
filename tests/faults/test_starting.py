"""Signals that come while a gateway starts: nothing is lost, and nobody is killed by one."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest

from tests.patience import HANGING_S

ROOT = Path(__file__).parents[2]
CONFIG = """
[server]
port = 0
{server}
[state]
url = "{state}"
[[upstream.credentials]]
name = "main"
key = "upstream-key"
[[licenses]]
id = "tester"
key = "a-license"
[[middlewares]]
use = "slow:Slow"
[[middlewares]]
use = "middlewares.license:LicenseAuth"
[[middlewares]]
use = "middlewares.payload:Payload"
[[middlewares]]
use = "middlewares.media:MediaFormats"
[[middlewares]]
use = "middlewares.translation:Translation"
[log]
format = "json"
"""
# A middleware whose import says that it has begun, and waits until it may end.
SLOW = """
import sys, time
from pathlib import Path

kind = "worker" if any(one.startswith("--worker") for one in sys.argv) else "first"
with open(f"begun-{kind}", "a") as begun:
    begun.write("x")
while not Path(f"go-{kind}").exists():
    time.sleep(0.005)

class Slow:
    async def __call__(self, request, handler):
        return await handler(request)
"""
SINGLE = ("", "memory://")
WORKERS = ("workers = 2", "embedded://")


class Starting:
    """A gateway, and its workers, that stand still while they start until they are let go on."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process, self._folder = process, folder
        self.lines: list[dict] = []

    async def stand(self, kind: str = "first", count: int = 1) -> None:
        """Wait until *count* processes of *kind* stand still."""
        begun = self._folder / f"begun-{kind}"
        async with asyncio.timeout(HANGING_S):
            while not begun.exists() or begun.stat().st_size < count:
                await asyncio.sleep(0.005)

    def go_on(self, kind: str = "first") -> None:
        (self._folder / f"go-{kind}").touch()

    async def told(self, event: str) -> dict:
        async with asyncio.timeout(HANGING_S):
            while raw := await self.process.stderr.readline():
                self.lines.append(orjson.loads(raw))
                if self.lines[-1]["event"] == event:
                    return self.lines[-1]
        raise AssertionError(f"no {event!r} in {self.lines}")

    async def ended(self) -> int:
        """Wait for the end; all that went wrong is an error by now."""
        async with asyncio.timeout(HANGING_S):
            _, rest = await self.process.communicate()
        self.lines += map(orjson.loads, rest.splitlines())
        assert not [line for line in self.lines if line["level"] == "error"]
        return self.process.returncode


@asynccontextmanager
async def starting(folder: Path, kind: tuple[str, str]) -> AsyncIterator[Starting]:
    server, state = kind
    (folder / "config.toml").write_text(CONFIG.format(server=server, state=state))
    (folder / "slow.py").write_text(SLOW)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"),
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
    )
    gateway = Starting(process, folder)
    try:
        yield gateway
    finally:
        # Workers outlive their parent for as long as they stand still.
        gateway.go_on("worker")
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_told_to_reload_while_it_starts_it_reloads_when_it_has_started(tmp_path):
    async with starting(tmp_path, SINGLE) as gateway:
        await gateway.stand()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.go_on()
        await gateway.told("started")
        await gateway.told("reloaded")
        gateway.process.terminate()
        assert await gateway.ended() == 0


async def test_workers_told_to_reload_while_they_start_reload_when_they_have_started(tmp_path):
    async with starting(tmp_path, WORKERS) as gateway:
        await gateway.stand()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.go_on()
        await gateway.stand("worker", 2)
        gateway.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.1)
        gateway.go_on("worker")
        for _ in range(2):
            await gateway.told("reloaded")
        gateway.process.terminate()
        assert await gateway.ended() == 0


@pytest.mark.parametrize("kind", [SINGLE, WORKERS], ids=["single", "workers"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_while_it_starts_it_ends_as_ever(tmp_path, kind, number):
    async with starting(tmp_path, kind) as gateway:
        await gateway.stand()
        gateway.process.send_signal(number)
        for one in ("first", "worker"):
            gateway.go_on(one)
        assert await gateway.ended() == 0


async def test_workers_told_to_stop_while_they_start_end_as_ever(tmp_path):
    async with starting(tmp_path, WORKERS) as gateway:
        gateway.go_on()
        await gateway.stand("worker", 2)
        gateway.process.terminate()
        await asyncio.sleep(0.1)
        gateway.go_on("worker")
        assert await gateway.ended() == 0


async def test_told_to_reload_while_it_ends_it_ends(tmp_path):
    async with starting(tmp_path, WORKERS) as gateway:
        for one in ("first", "worker"):
            gateway.go_on(one)
        await gateway.told("started")
        gateway.process.terminate()
        while gateway.process.returncode is None:
            # Not by the process: it looks for the end first, which asyncio then would not see.
            with suppress(ProcessLookupError):
                os.kill(gateway.process.pid, signal.SIGHUP)
            await asyncio.sleep(0.005)
        assert await gateway.ended() == 0
