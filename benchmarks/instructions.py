"""Guards against slow changes: counts the instructions of a request and of a chunk.

`python -m benchmarks.instructions` counts them for the gateway and for the minimal relay, the
yardstick. Their ratio hardly depends on the machine or its load; the command fails when a ratio is
more than 15 % above the one in `baseline.json`. `--store` makes the current ratios the baseline.
`perf stat` counts if the machine permits it, else valgrind's callgrind; with neither, the exit
status is 77.

So that runs are comparable: connections in memory, a fixed hash seed, a warm interpreter, no
garbage collection, log and ledger written once at the end of each window, and the median of a few
windows.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import inprocess, relay
from benchmarks.native import Unfit, compiled
from benchmarks.scenarios import Scenario

BASELINE = Path(__file__).parent / "baseline.json"
TOLERANCE = 0.15
# The exit status if nothing can be counted, a convention of test programs.
UNFIT = 77
WINDOWS = 3
WARM = 10
Counts = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Part:
    """What is counted: a window of *repeats* answers of *events* each, *per_read* in one read.

    Without *events*: whole answers, and the unit is the request instead of the chunk.
    """

    name: str
    repeats: int
    events: int = 0
    per_read: int = 0

    @property
    def units(self) -> int:
        """How many units a window has."""
        return self.repeats * (self.events or 1)


PARTS = (
    Part("short", 100),
    Part("burst", 6, events=100, per_read=50),
    Part("alone", 6, events=50, per_read=1),
)
SERVERS = {
    "gateway": (inprocess.gateway, inprocess.targets.GATEWAY_PATH),
    "relay": (inprocess.relay, "/v1/chat/completions"),
}


@dataclass(frozen=True, slots=True)
class Marks:
    """The begin and end of a window, for the counter."""

    begin: Callable[[], object]
    end: Callable[[], object]


async def run(server: str, part: Part, windows: int, marks: Marks) -> None:
    """Do the work of *windows* windows of *part* on *server*, after a warm-up."""
    connected, path = SERVERS[server]
    inprocess.Canned.script = (
        inprocess.streamed_reply(part.events, part.per_read)
        if part.events
        else inprocess.whole_reply()
    )
    load = Scenario(part.name, "instructions", 1, events=part.events)
    request = inprocess.request_bytes(load, path)
    async with connected() as client:
        # The interpreter specialises code that has run a few times.
        for _ in range(WARM):
            for _ in range(max(1, part.repeats // WARM)):
                answer = await client.ask(request)
            if not answer.startswith(b"HTTP/1.1 200") or b'"finish_reason":"stop"' not in answer:
                raise Unfit(f"The {server} answered {answer[:500]!r}")
            await client.settle()
        gc.collect()
        gc.freeze()
        gc.disable()
        for _ in range(windows):
            marks.begin()
            for _ in range(part.repeats):
                await client.ask(request)
            await client.settle()
            marks.end()
        gc.enable()


def count(parts: Iterable[Part]) -> Counts:
    """Count the instructions per unit of *parts* on each server. Raises `Unfit`."""
    if perf_counts():
        return with_perf(parts)
    if shutil.which("valgrind"):
        return with_callgrind(parts)
    raise Unfit("Neither perf can count instructions here nor is valgrind installed.")


def with_callgrind(parts: Iterable[Part]) -> Counts:
    """Count with valgrind, only between the marks."""
    marks = compiled("marks", "-shared", "-fPIC")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        command += [f"--callgrind-out-file={folder}/%p"]
        jobs = [(server, part) for part in parts for server in SERVERS]
        output = _run([*command, *_work_command(jobs, WINDOWS, marks)]).stdout
        counts: Counts = {}
        for line in output.splitlines():
            server, part_name, pid = line.split()
            totals = [_total(folder / f"{pid}.{number + 1}") for number in range(WINDOWS)]
            counts.setdefault(part_name, {})[server] = statistics.median(totals)
    return {part.name: _per_unit(counts[part.name], part.units) for part in parts}


def _total(file: Path) -> int:
    match = re.search(r"^(?:totals|summary): (\d+)", file.read_text(), re.MULTILINE)
    if not match:
        raise Unfit("valgrind wrote no total.")
    return int(match[1])


def with_perf(parts: Iterable[Part]) -> Counts:
    """Count whole processes that differ only in how often they do the work."""
    counts: Counts = {}
    for part in parts:
        for server in SERVERS:
            few, many = (_perf(server, part, windows) for windows in (4, 24))
            counts.setdefault(part.name, {})[server] = (many - few) / 20
    return {part.name: _per_unit(counts[part.name], part.units) for part in parts}


def _perf(server: str, part: Part, windows: int) -> int:
    command = ["perf", "stat", "-x,", "-e", "instructions:u"]
    output = _run([*command, *_work_command([(server, part)], windows, None)]).stderr
    match = re.search(r"^(\d+),[^,]*,instructions", output, re.MULTILINE)
    if not match:
        raise Unfit(f"perf counted nothing:\n{output[-3000:]}")
    return int(match[1])


def perf_counts() -> bool:
    """Tell whether `perf` is installed and the machine permits counting."""
    if not shutil.which("perf"):
        return False
    command = ["perf", "stat", "-x,", "-e", "instructions:u", "true"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return re.match(r"\d+,", process.stderr) is not None


def _per_unit(counts: dict[str, float], units: int) -> dict[str, float]:
    return {server: count / units for server, count in counts.items()}


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if process.returncode:
        raise Unfit(f"{command[0]} failed:\n{process.stderr[-3000:]}")
    return process


def _work_command(jobs: list[tuple[str, Part]], windows: int, marks: Path | None) -> list[str]:
    own = [sys.executable, "-X", "frozen_modules=on", "-m", "benchmarks.instructions"]
    work = ",".join(f"{server}:{part.name}" for server, part in jobs)
    return [*own, "--work", work, "--windows", str(windows), "--marks", str(marks or "")]


def work(options: argparse.Namespace) -> None:
    """Do the work in processes forked from this one, and print their ids."""
    marks = Marks(int, int)
    if options.marks:
        library = ctypes.CDLL(options.marks)
        marks = Marks(library.begin, library.end)
    by_name = {part.name: part for part in PARTS}
    children = []
    for one in options.work.split(","):
        server, name = one.split(":")
        child = os.fork()
        if not child:
            with asyncio.Runner(loop_factory=relay.new_loop) as runner:
                runner.run(run(server, by_name[name], options.windows, marks))
            os._exit(0)
        print(server, name, child, flush=True)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(int(any(statuses)))


def ratios(counts: Counts) -> dict[str, float]:
    """Return the ratio of the gateway's instructions to the relay's, for each part."""
    return {name: own["gateway"] / own["relay"] for name, own in counts.items()}


def report(counts: Counts, baseline: dict[str, float]) -> int:
    """Print *counts* next to the ratios in *baseline*; return the exit status."""
    print(f"{'':8}{'gateway':>12}{'relay':>12}{'ratio':>8}{'baseline':>10}{'growth':>9}")
    slower = []
    for name, ratio in ratios(counts).items():
        own = counts[name]
        line = f"{name:8}{own['gateway']:>12,.0f}{own['relay']:>12,.0f}{ratio:>8.3f}"
        if name not in baseline:
            print(f"{line}  no baseline")
            continue
        growth = ratio / baseline[name] - 1
        print(f"{line}{baseline[name]:>10.3f}{growth:>+9.1%}")
        if growth > TOLERANCE:
            slower.append(name)
    if slower:
        print(f"more than {TOLERANCE:.0%} above the baseline: {', '.join(slower)}")
    return 1 if slower else 0


def main() -> None:
    """Count the instructions of a request and of a chunk, and compare them with the baseline."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions", description=main.__doc__
    )
    names = [part.name for part in PARTS]
    parser.add_argument("--scenario", choices=names, help="count only this one")
    parser.add_argument("--store", action="store_true", help="take the ratios as the baseline")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--windows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--marks", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.work:
            work(options)
            return
        parts = [part for part in PARTS if options.scenario in (None, part.name)]
        counts = count(parts)
    except Unfit as fault:
        print(fault, file=sys.stderr)
        sys.exit(UNFIT)
    stored = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if options.store:
        stored |= {name: round(ratio, 3) for name, ratio in ratios(counts).items()}
        BASELINE.write_text(json.dumps(stored, indent=2) + "\n")
    print(f"instructions a unit, Python {sys.version_info.major}.{sys.version_info.minor}")
    sys.exit(report(counts, stored))


if __name__ == "__main__":
    main()
