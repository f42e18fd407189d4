"""`python -m benchmarks.media`: the cost of large pictures in the body, next to a plain relay.

For bodies of 5, 15 and 60 MB: the time of a request, the CPU time, the peak of memory above the
idle process (also in copies of the body), and how long another request had to wait meanwhile.
"""

import argparse
import base64
import json
import os
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measure, process, scenarios, targets
from benchmarks.targets import MODEL, Place, Running, Target, ask

SIZES_MB = (5, 15, 60)
MB = 1_000_000
# A PNG's first bytes: the gateway examines them, the rest may be anything.
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(17)
BOUNDS = """
[media]
max_item_bytes = 100_000_000
max_request_bytes = 100_000_000
upload_above_bytes = 100_000_000
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request cost: seconds, and bytes above the idle process."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    longest_wait_s: float


def gateway(place: Place) -> list[str]:
    """Return the command of the gateway with limits that admit the largest body."""
    command = targets.gateway()(place)
    with (place.folder / "config.toml").open("a") as file:
        file.write(BOUNDS)
    return command


TARGETS = (
    Target("relay", targets.relay("read")),
    Target("gateway", gateway, targets.GATEWAY_PATH, headers=targets.GATEWAY_HEADERS),
)


def body(size: int) -> bytes:
    """Return a chat request of about *size* bytes, nearly all of it a picture as a data URL."""
    picture = base64.b64encode(PNG + os.urandom(size * 3 // 4)).decode()
    url = {"url": f"data:image/png;base64,{picture}"}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}]}).encode()


def once(running: Running, request_body: bytes) -> Cost:
    """Send *request_body* while small requests measure how long they have to wait."""
    process.reset_peak(running.pids)
    idle_kib = process.rss_kib(running.pids)
    waits = [0.0]
    is_answered = threading.Event()
    prober = threading.Thread(target=_probe, args=(running, is_answered, waits))
    prober.start()
    cpu_s, begun = process.cpu_s(running.pids), time.monotonic()
    try:
        status, answer = ask(running, request_body, "generateContent")
        wall_s = time.monotonic() - begun
    finally:
        is_answered.set()
        prober.join()
    assert status == 200, answer[:500]
    return Cost(
        wall_s,
        process.cpu_s(running.pids) - cpu_s,
        max(0, process.peak_kib(running.pids) - idle_kib) * 1024,
        max(waits),
    )


def _probe(running: Running, is_answered: threading.Event, waits: list[float]) -> None:
    small = scenarios.body(measure.SHORT)
    while not is_answered.wait(0.002):
        begun = time.monotonic()
        ask(running, small, "generateContent")
        waits.append(time.monotonic() - begun)


def median(costs: list[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        int(statistics.median(cost.peak_bytes for cost in costs)),
        statistics.median(cost.longest_wait_s for cost in costs),
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.media", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="requests for each figure (5)")
    options = parser.parse_args()
    print(f"{'body':>6} {'target':>8} {'time':>9} {'CPU':>9} {'peak':>17} {'others wait':>12}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        port = stack.enter_context(measure.upstream()).port
        probe = scenarios.body(measure.SHORT)
        for megabytes in SIZES_MB:
            request_body = body(megabytes * MB)
            for target in TARGETS:
                # A new process for each figure: freed memory is not always returned.
                with targets.started(target, folder, port, probe) as running:
                    cost = median([once(running, request_body) for _ in range(options.rounds)])
                print(_line(f"{megabytes} MB", target.name, cost, len(request_body)), flush=True)


def _line(size: str, name: str, cost: Cost, length: int) -> str:
    peak = f"{cost.peak_bytes / MB:.0f} MB ({cost.peak_bytes / length:.1f} x)"
    times = f"{cost.wall_s * 1e3:>6.0f} ms {cost.cpu_s * 1e3:>6.0f} ms"
    return f"{size:>6} {name:>8} {times} {peak:>17} {cost.longest_wait_s * 1e3:>9.0f} ms"


if __name__ == "__main__":
    main()
