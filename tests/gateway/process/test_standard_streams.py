"""Standard streams that whoever starts the gateway has closed."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.patience import HANGING_S

ROOT = Path(__file__).parents[3]
# Writes the next free descriptor, whether a child process has the streams, and what they are.
CHILD = """
import os, subprocess, sys
from gateway.process.standard_streams import open_closed

open_closed()
links = lambda: " ".join(os.readlink(f"/proc/self/fd/{number}") for number in range(3))
inherited = [sys.executable, "-c", "import os; [os.fstat(number) for number in range(3)]"]
status = subprocess.run(inherited, close_fds=True).returncode
number = os.open(sys.argv[1], os.O_WRONLY)
os.write(number, f"{number} {status} {links()}".encode())
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_other_file_gets_the_number_of_a_closed_stream(tmp_path, closed):
    (tmp_path / "told").touch()
    shell = f'exec "$0" -c "$1" told </dev/null >/dev/null 2>/dev/null {closed}'
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-c", shell, sys.executable, CHILD], cwd=tmp_path, env=environ)
    assert (tmp_path / "told").read_text() == "3 0 /dev/null /dev/null /dev/null"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_the_gateway_serves_without_standard_streams(tmp_path, unused_tcp_port):
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GEMINI_API_KEY": "any",
        "GATEWAY_SERVER__PORT": str(unused_tcp_port),
    }
    shell = 'exec "$0" -m gateway <&- >&- 2>&-'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", shell, sys.executable), cwd=tmp_path, env=environ
    )
    try:
        await answering(f"http://127.0.0.1:{unused_tcp_port}/healthz")
        descriptors = Path(f"/proc/{process.pid}/fd")
        links = {(descriptors / str(number)).readlink() for number in range(3)}
        assert links == {Path(os.devnull)}
    finally:
        process.terminate()
        async with asyncio.timeout(HANGING_S):
            status = await process.wait()
    assert status == 0


async def answering(url: str) -> None:
    async with asyncio.timeout(HANGING_S), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get(url):
                    return
            await asyncio.sleep(0.02)
