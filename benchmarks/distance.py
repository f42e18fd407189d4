"""Measure large answers over a distance: `python -m benchmarks.distance`.

On loopback a small socket buffer costs nothing, over a distance one buffer is under way per round
trip. Here two network namespaces are joined by devices that delay every packet: upstream, or the
client, is in the far one. Needs Linux, root and `ip`.
"""

import argparse
import asyncio
import ctypes
import fcntl
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiohttp import web

from benchmarks import targets

# Several runs may go on at a time.
NEAR, FAR = (f"gateway-{end}-{os.getpid()}" for end in ("near", "far"))
ADDRESSES = {NEAR: "10.99.0.1", FAR: "10.99.0.2"}
# From `linux/if_tun.h`: make a device that gives whole packets without a header.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES = 65_536
PORT, UPSTREAM_PORT = 8080, 8081
ANSWER_BYTES = 8_000_000
ROUNDS = 5
TARGETS = ("relay", "gateway")


class Link:
    """Packets from the device *source* to the device *target*, each *delay_s* later."""

    def __init__(self, source: int, target: int, delay_s: float) -> None:
        self._source, self._target, self._delay_s = source, target, delay_s
        self._packets: deque[tuple[float, bytes]] = deque()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(source, self._take)

    def _take(self) -> None:
        is_idle = not self._packets
        due = self._loop.time() + self._delay_s
        while True:
            try:
                self._packets.append((due, os.read(self._source, PACKET_BYTES)))
            except BlockingIOError:
                break
        if is_idle and self._packets:
            self._loop.call_at(due, self._give)

    def _give(self) -> None:
        while self._packets and self._packets[0][0] <= self._loop.time():
            os.write(self._target, self._packets.popleft()[1])
        if self._packets:
            self._loop.call_at(self._packets[0][0], self._give)


def run(*command: str) -> None:
    """Run *command* to its end."""
    subprocess.run(command, check=True)


def inside(namespace: str, *command: str) -> list[str]:
    """Return *command* as it is run in *namespace*."""
    return ["ip", "netns", "exec", namespace, *command]


def open_device(namespace: str) -> int:
    """Make the device of *namespace*; return its descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(other, 0):
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"far", IFF_TUN | IFF_NO_PI))
    finally:
        libc.setns(own, 0)
        os.close(own)
        os.close(other)
    return device


@contextmanager
def apart(delay_s: float) -> Iterator[None]:
    """Have two namespaces, each packet between which takes *delay_s*."""
    with ExitStack() as stack:
        devices = []
        for namespace, address in ADDRESSES.items():
            run("ip", "netns", "add", namespace)
            stack.callback(run, "ip", "netns", "del", namespace)
            devices.append(open_device(namespace))
            stack.callback(os.close, devices[-1])
            run(*inside(namespace, "ip", "link", "set", "lo", "up"))
            run(*inside(namespace, "ip", "addr", "add", f"{address}/24", "dev", "far"))
            run(*inside(namespace, "ip", "link", "set", "far", "up", "txqueuelen", "10000"))
        ended = asyncio.Event()
        loop = asyncio.new_event_loop()

        async def carry() -> None:
            Link(devices[0], devices[1], delay_s)
            Link(devices[1], devices[0], delay_s)
            await ended.wait()

        carrier = threading.Thread(target=loop.run_until_complete, args=(carry(),))
        carrier.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(ended.set)
            carrier.join()
            loop.close()


async def answer(request: web.Request) -> web.Response:
    """Answer as Gemini, with one event of `ANSWER_BYTES`."""
    await request.read()
    part = {"text": "x" * ANSWER_BYTES}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    event = json.dumps({"candidates": [candidate]})
    return web.Response(text=f"data: {event}\r\n\r\n", content_type="text/event-stream")


def serve_upstream(host: str) -> None:
    """Serve upstream on *host* until ended."""
    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    web.run_app(app, host=host, port=UPSTREAM_PORT, print=None, access_log=None)


def ask(host: str, name: str) -> None:
    """Ask the target *name* on *host* a few times; print how many seconds each answer took."""
    target = next(target for target in targets.ALL if target.name == name)
    body = {"model": targets.MODEL, "messages": [{"role": "user", "content": "x"}], "stream": True}
    headers = dict(header.split(": ", 1) for header in target.headers)
    request = urllib.request.Request(
        f"http://{host}:{PORT}{target.path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **headers},
    )
    for _ in range(ROUNDS):
        began = time.monotonic()
        with urllib.request.urlopen(request, timeout=100) as response:
            size = len(response.read())
        if size < ANSWER_BYTES:
            raise SystemExit(f"The answer of {name} has {size} bytes.")
        print(time.monotonic() - began, flush=True)


def command(name: str, upstream: str, folder: Path) -> list[str]:
    """Return the start command of the target *name* in front of the host *upstream*."""
    url = f"http://{upstream}:{UPSTREAM_PORT}"
    if name == "relay":
        server = [sys.executable, "-m", "benchmarks.relay", "--upstream", url, "--host", "0.0.0.0"]
        return [*server, "--port", str(PORT)]
    place = targets.Place(PORT, folder, UPSTREAM_PORT)
    variables = [f"GATEWAY_UPSTREAM__BASE_URL={url}", "GATEWAY_SERVER__HOST=0.0.0.0"]
    return ["env", *variables, *targets.gateway()(place)]


@contextmanager
def started(namespace: str, *arguments: str) -> Iterator[None]:
    """Run a command in *namespace* until the end."""
    child = subprocess.Popen(inside(namespace, *arguments), stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.terminate()
        child.wait()


def measure(name: str, upstream: str, client: str) -> float:
    """Return the median of the seconds an answer takes, with both peers in these namespaces."""
    own = [sys.executable, "-m", "benchmarks.distance"]
    with (
        tempfile.TemporaryDirectory() as folder,
        started(upstream, *own, "--serve", ADDRESSES[upstream]),
        started(NEAR, *command(name, ADDRESSES[upstream], Path(folder))),
    ):
        time.sleep(3)
        asking = inside(client, *own, "--ask", ADDRESSES[NEAR], name)
        done = subprocess.run(asking, check=True, capture_output=True, text=True, timeout=200)
    return statistics.median(map(float, done.stdout.split()))


def main() -> None:
    """Print how long an answer takes from a far upstream and to a far client."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--ms", type=float, default=50.0, help="of a round trip")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--ask", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_upstream(options.serve)
    elif options.ask:
        ask(*options.ask)
    else:
        with apart(options.ms / 2000):
            print(f"{ANSWER_BYTES:,} bytes over {options.ms:g} ms, seconds")
            for title, upstream, client in (
                ("upstream is far", FAR, NEAR),
                ("the client is far", NEAR, FAR),
            ):
                seconds = {name: measure(name, upstream, client) for name in TARGETS}
                print(f"{title:<18}", *(f"{name} {value:.2f}" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
