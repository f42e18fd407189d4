"""Stores on a real Valkey, closed at the end of the test."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.state import shared_counters
from gateway.state.embedded import COUNTERS, SOCKET
from gateway.state.folder import MEMORY
from gateway.state.valkey import ValkeyStore

# A busy machine must not look like a server that is down.
PATIENT_S = 10.0


@pytest.fixture
async def connect():
    stores = []

    def make(url, namespace="test"):
        stores.append(ValkeyStore(url, namespace, timeout_s=PATIENT_S, slot_ttl_s=1.0))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
def store(valkey, connect):
    return connect(valkey.url)


@asynccontextmanager
async def processes(count, *command):
    """Run so many other processes of a gateway: Python's `-c` with *command*, until each is ready."""
    started = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", *map(str, command)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(count)
    ]
    try:
        for process in started:
            assert await process.stdout.readline() == b"ready\n"
        yield started
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.fixture(scope="module")
def in_memory():
    """Yield a folder in memory: members of a Cluster answer nobody while a disk takes their file.

    They write it at each change of the Cluster, and a disk that all tests use may take a second.
    """
    parent = MEMORY if os.access(MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="gateway-test-", dir=parent) as name:
        yield Path(name)


@contextmanager
def embedded_folder_on(server, workers=2):
    """Yield a folder such as `embedded.state_server` makes, with *server* as the private one."""
    # Not `tmp_path`: the path of a socket may not be as long.
    with TemporaryDirectory(prefix="gateway-test-") as name:
        folder = Path(name)
        shared_counters.create(folder / COUNTERS, workers)
        (folder / SOCKET).symlink_to(server.socket)
        yield folder


@pytest.fixture
def embedded_folder(valkey):
    with embedded_folder_on(valkey) as folder:
        yield folder
