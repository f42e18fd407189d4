"""The system's resolver finds what it can, and holds up nobody."""

import socket
import subprocess
import sys

import pytest

from gateway.network.lookup import address_of, resolved, system_lookup
from tests.patience import HANGING_S


async def test_the_system_finds_the_host_itself():
    assert set(await system_lookup("localhost", 80)) <= {"127.0.0.1", "::1"}
    with pytest.raises(OSError, match=r"."):
        await system_lookup("host.invalid", 80)


HANGING = """
import asyncio, socket, time
from gateway.network.lookup import system_lookup

socket.getaddrinfo = lambda *_, **__: time.sleep(600)

async def main():
    async with asyncio.timeout(0.01):
        await system_lookup("example.com", 80)

try:
    asyncio.run(main())
except TimeoutError:
    print("ended")
"""


def test_a_lookup_that_hangs_does_not_hold_up_the_end_of_the_process():
    command = [sys.executable, "-c", HANGING]
    done = subprocess.run(command, check=True, timeout=HANGING_S, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("ended\n", "")


def test_addresses_are_told_as_aiohttp_takes_them():
    zoned = address_of(("fe80::1", 80, 0, 2))
    found = resolved("a.example", 80, ["192.0.2.1", zoned, "192.0.2.1"])
    assert [(one["host"], one["family"]) for one in found] == [
        ("192.0.2.1", socket.AF_INET),
        ("fe80::1%2", socket.AF_INET6),
    ]
