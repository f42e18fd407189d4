import asyncio
import errno
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from gateway.network.sockets import listen
from gateway.process import supervisor
from gateway.process.supervisor import LONGEST_PAUSE_S, Supervisor, pause_s
from tests.patience import HANGING_S

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parents[1] / "fake_service.py"
PARENT = """
import asyncio, socket, sys
from gateway.process.supervisor import Supervisor
from gateway.log import Output
from gateway.settings import Log
Output().configure(Log(format="json"), ())
sockets = [socket.socket(fileno=int(sys.argv[1]))]
sys.exit(asyncio.run(Supervisor(sys.argv[2:], sockets, 2, 30.0).run()))
"""
# A worker that writes down each of its lives, in a folder, and is fatally wrong from the second on.
WRONG_LATER = """
import os, sys, time
lives = os.path.join(*sys.argv[1:3])
begun = os.path.exists(lives)
with open(lives, "a") as file:
    file.write(f"{os.getpid()}\\n")
if begun:
    sys.exit(78)
time.sleep(60)
"""
STANDING_STILL = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(os.path.join(*sys.argv[1:3]), "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(60)
"""


@pytest.fixture
async def parent(tmp_path):
    """Start a parent of two workers; gives it and its address."""
    running = []

    async def start(*command: str):
        # It listens at once: nobody else can take its port while the process starts.
        (sock,) = listen("127.0.0.1", 0)
        with sock:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-c", PARENT, str(sock.fileno())),
                *(command or _service(tmp_path)),
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                pass_fds=[sock.fileno()],
            )
            running.append(process)
            return process, f"http://127.0.0.1:{sock.getsockname()[1]}"

    yield start
    for process in running:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), HANGING_S)


def _service(folder: Path) -> list[str]:
    path = folder / "config.toml"
    path.write_text("[log]\nformat = 'json'\n")
    return [sys.executable, str(SCRIPT), str(path)]


async def _pids(url: str, count: int) -> set[int]:
    """Ask until *count* different workers have answered."""
    pids: set[int] = set()
    async with asyncio.timeout(HANGING_S):
        while len(pids) < count:
            try:
                # A session each: a kept connection stays with its worker.
                async with aiohttp.ClientSession() as session, session.get(f"{url}/pid") as answer:
                    pids.add(int(await answer.text()))
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
    return pids


async def test_workers_share_the_port_and_one_that_dies_is_replaced(parent):
    process, url = await parent()
    first = await _pids(url, 2)
    os.kill(killed := min(first), signal.SIGKILL)
    second = await _pids(url, 2) | await _pids(url, 2)
    assert len(second - first) == 1
    assert killed not in second
    process.terminate()
    assert await asyncio.wait_for(process.wait(), HANGING_S) == 0
    for pid in first | second:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_stream_ends_whole_when_the_parent_is_told_to_stop(parent):
    process, url = await parent()
    await _pids(url, 2)
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{url}/stream?n=50")
        await answer.content.readany()
        process.send_signal(signal.SIGINT)
        await _draining(url)
        assert not answer.content.is_eof()
        assert (await answer.read()).endswith(b"whole")
    assert await asyncio.wait_for(process.wait(), HANGING_S) == 0


async def _draining(url: str) -> None:
    """Wait until the workers say that they are ending."""
    async with asyncio.timeout(HANGING_S):
        while True:
            # A session each: what waits in the queue when a worker ends is cut.
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"{url}/readyz") as answer,
                ):
                    if answer.status == 503:
                        return
            except aiohttp.ClientError:
                pass


@pytest.mark.parametrize("again", [False, True])
async def test_a_worker_that_stands_still_does_not_keep_the_parent(monkeypatch, tmp_path, again):
    monkeypatch.setattr(supervisor, "ENDING_S", 0.1)
    parent = Supervisor(
        [sys.executable, "-c", STANDING_STILL, str(tmp_path)], [], 1, 3600.0 if again else 0.0
    )
    running = asyncio.create_task(parent.run())
    await _lives(tmp_path, 1, 1)
    for _ in range(2 if again else 1):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(running, HANGING_S) == 0


async def test_no_worker_outlives_a_parent_that_was_killed(parent):
    process, url = await parent()
    pids = await _pids(url, 2)
    process.kill()
    async with asyncio.timeout(HANGING_S):
        while any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in pids):
            await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    """Tell whether the process runs; a zombie that nobody has waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def test_a_worker_that_a_restart_will_not_mend_ends_the_parent(parent):
    process, _ = await parent(sys.executable, "-c", "raise SystemExit(78)")
    assert await asyncio.wait_for(process.wait(), HANGING_S) == 78


async def _lives(folder: Path, number: int, count: int) -> list[int]:
    """Return the pids of worker *number* when it has begun to live for the *count*th time."""
    file = folder / f"--worker={number}"
    async with asyncio.timeout(HANGING_S):
        while not file.exists() or file.read_text().count("\n") < count:
            await asyncio.sleep(0.02)
    return [int(pid) for pid in file.read_text().split()]


async def test_a_worker_that_only_later_finds_something_wrong_ends_nobody_else(parent, tmp_path):
    process, _ = await parent(sys.executable, "-c", WRONG_LATER, str(tmp_path))
    first, other = [(await _lives(tmp_path, number, 1))[0] for number in (1, 2)]
    os.kill(first, signal.SIGKILL)
    # It is tried again and again: the file may be mended.
    await _lives(tmp_path, 1, 3)
    assert process.returncode is None
    assert _alive(other)
    assert await _lives(tmp_path, 2, 1) == [other]


async def test_a_worker_that_cannot_be_forked_is_tried_again(monkeypatch):
    fork, tries = asyncio.create_subprocess_exec, []

    async def failing(*words, **options):
        tries.append(words)
        if len(tries) == 1:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await fork(*words, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", failing)
    parent = Supervisor([sys.executable, "-c", "raise SystemExit(78)"], [], 1, 30.0)
    async with asyncio.timeout(HANGING_S):
        # The status of its first life counts as ever.
        assert await parent.run() == 78
    assert len(tries) == 2


def test_pauses_grow_up_to_a_bound():
    pauses = [pause_s(deaths) for deaths in range(1, 20)]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE_S
