"""A gateway in a process of its own, in front of a scripted upstream."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson

from tests.faults.scripted import ScriptedUpstream
from tests.patience import HANGING_S
from tests.running import Gateway

ROOT = Path(__file__).parents[2]
CONFIG = """
[server]
port = 0
{server}
[upstream]
base_url = "{url}"
{more}
[[upstream.credentials]]
name = "c1"
key = "key-1-not-to-be-told"
[[licenses]]
id = "tester"
key = "fault-license"
[log]
format = "json"
"""


class Process:
    """A running `python -m gateway`; *config* is the file it reads at a reload."""

    def __init__(self, process: asyncio.subprocess.Process, config: Path) -> None:
        self.process, self.config, self.log = process, config, b""

    async def line(self, wanted: str) -> dict:
        """Read the log on to the event *wanted*."""
        async with asyncio.timeout(HANGING_S):
            while raw := await self.process.stderr.readline():
                self.log += raw
                line = orjson.loads(raw)
                if line["event"] == wanted:
                    return line
        raise AssertionError(f"no {wanted!r} in {self.log!r}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end; the log of the whole life is in `log` then."""
        async with asyncio.timeout(HANGING_S):
            _, rest = await self.process.communicate()
        self.log += rest or b""
        return self.process.returncode

    def memory(self) -> int:
        """Return its share of the memory in bytes; buffers of the kernel are not in it."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024

    def descriptors(self) -> int:
        """Count its open descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@asynccontextmanager
async def gateway_process(
    folder: Path, upstream: ScriptedUpstream, server: str = "", more: str = "", **process_options
) -> AsyncIterator[tuple[Process, Gateway]]:
    """Run one that reads its configuration from *folder*; give it and a client for it.

    *server* and *more* are lines for the sections `[server]` and `[upstream]`.
    """
    config = folder / "config.toml"
    config.write_text(CONFIG.format(url=upstream.url, server=server, more=more))
    options = {"stderr": asyncio.subprocess.PIPE, **process_options}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )
    running = Process(process, config)
    url = None
    try:
        if options["stderr"] == asyncio.subprocess.PIPE:
            url = (await running.line("started"))["listen"][0]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield running, Gateway(url, session, None)
    finally:
        if process.returncode is None:
            process.kill()
            # `wait` alone never returns if more of the log is left than asyncio reads ahead.
            await process.communicate()
