import asyncio
import platform
import resource
import subprocess
import sys
import tracemalloc
from asyncio import sslproto
from pathlib import Path

import pytest

from gateway.network.sockets import StartError
from gateway.process import machine
from gateway.process.machine import (
    check_machine,
    give_back_memory,
    raise_descriptor_limit,
    shrink_tls_buffers,
)
from tests.patience import HANGING_S
from tests.tls import client_context

ROOT = Path(__file__).parents[3]


def test_this_machine_is_fit():
    check_machine()


@pytest.mark.parametrize("found", ["3.14.4", "3.13.9", "2.99.99"])
def test_an_old_aiohttp_is_refused(monkeypatch, found):
    monkeypatch.setattr(machine, "version", lambda _: found)
    with pytest.raises(StartError, match=r"install aiohttp>=3\.14\.5"):
        check_machine()


@pytest.mark.parametrize("found", ["3.14.5", "3.15.0", "4.0.0a1"])
def test_a_newer_aiohttp_is_taken(monkeypatch, found):
    monkeypatch.setattr(machine, "version", lambda _: found)
    check_machine()


def test_an_aiohttp_without_what_is_built_on_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "missing_names", lambda: ["TCPConnector._factory"])
    with pytest.raises(StartError, match=r"lacks TCPConnector\._factory"):
        check_machine()


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [((), {"AIOHTTP_NO_EXTENSIONS": "1"}, "C extensions"), (("-O",), {}, "python -O")],
)
def test_a_start_that_would_be_unsafe_is_refused(flags, environ, message):
    done = subprocess.run(
        [sys.executable, *flags, "-m", "gateway", "--check"],
        env={"PYTHONPATH": str(ROOT), "GEMINI_API_KEY": "k", **environ},
        capture_output=True,
        text=True,
        timeout=HANGING_S,
    )
    assert done.returncode == 78
    assert message in done.stderr


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the habit")
def test_the_memory_of_a_large_body_goes_back_to_the_system():
    script = """
from pathlib import Path
from gateway.process.machine import give_back_memory
assert give_back_memory()
def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) // 256
before = resident_mib()
for _ in range(3):
    body = b"x" * (16 << 20)
    behind = b"y" * 500_000
    del body
print(resident_mib() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert int(done.stdout) < 8, done.stderr


def test_a_c_library_without_the_habit_needs_no_telling(monkeypatch):
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: object())
    assert not give_back_memory()


def test_the_limit_on_descriptors_is_raised():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
        assert raise_descriptor_limit() >= soft or hard == resource.RLIM_INFINITY
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= soft
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_connection_over_tls_holds_no_large_buffer(monkeypatch):
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)
    shrink_tls_buffers()
    loop, context = asyncio.get_running_loop(), client_context()
    tracemalloc.start()
    try:
        held = sslproto.SSLProtocol(loop, asyncio.Protocol(), context, None)
        assert tracemalloc.get_traced_memory()[0] < 100_000
        held._get_app_transport().abort()
    finally:
        tracemalloc.stop()
