"""The benchmark of large answers puts as much distance between two namespaces as it says."""

import subprocess
import sys
from contextlib import ExitStack

import pytest

from benchmarks.distance import ADDRESSES, FAR, NEAR, apart, inside

LISTEN = f"""
import socket
with socket.create_server(("{ADDRESSES[FAR]}", 9000)) as server:
    print("listening", flush=True)
    server.accept()[0].close()
"""
CONNECT = f"""
import socket, time
began = time.monotonic()
socket.create_connection(("{ADDRESSES[FAR]}", 9000)).close()
print(time.monotonic() - began)
"""


@pytest.mark.parametrize("delay_s", [0.01, 0.05])
def test_each_packet_takes_its_time(delay_s):
    with ExitStack() as stack:
        try:
            stack.enter_context(apart(delay_s))
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {error}")
        command = inside(FAR, sys.executable, "-c", LISTEN)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            assert server.stdout.readline() == b"listening\n"
            connect = inside(NEAR, sys.executable, "-c", CONNECT)
            took = float(subprocess.run(connect, capture_output=True, timeout=20).stdout)
        # A connection is made with one round trip.
        assert took >= 2 * delay_s
