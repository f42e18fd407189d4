"""Guard against slow changes: count the instructions of a request and of a chunk.

`python -m benchmarks.instructions` prints the counts beside `baseline.json` and fails when one has
grown by more than 15 %; `--store` takes them as the new baseline. Counts hardly depend on what else
the machine does, unlike times. `perf stat` counts where the machine lets it, else callgrind.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import inprocess
from benchmarks.native import Unfit, compiled
from benchmarks.scenarios import Scenario

BASELINE = Path(__file__).parent / "baseline.json"
TOLERANCE = 0.15
SETTLE_S = 3.0
Counts = dict[str, int]
Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Part:
    """What is counted: *repeats* times *units* of it; *per_read* events are in one read."""

    name: str
    units: int
    repeats: int
    per_read: int = 0


PARTS = (
    Part("request", 1, 100),
    Part("chunk in a burst", 100, 8, per_read=50),
    Part("chunk alone", 50, 8, per_read=1),
)


async def run(part: Part, repeats: int, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Do *part*'s work between *begin* and *end*, after enough of it to be warm."""
    events = part.units if part.per_read else 0
    reply = inprocess.streamed_reply(events, part.per_read) if events else inprocess.whole_reply()
    inprocess.Canned.script = reply
    request = inprocess.request_bytes(Scenario(part.name, "instructions", 1, events=events))
    async with inprocess.gateway() as client:
        # The interpreter specialises what it has run a few times.
        for _ in range(12):
            answer = await client.ask(request)
            if not answer.startswith(b"HTTP/1.1 200") or b'"finish_reason":"stop"' not in answer:
                raise Unfit(f"The gateway answered {answer[:500]!r}")
        # The first rows of the ledger are written, whose statement is compiled once.
        await asyncio.sleep(SETTLE_S)
        gc.collect()
        gc.disable()
        begin()
        for _ in range(repeats):
            await client.ask(request)
        end()
        gc.enable()


def with_callgrind(part: Part) -> int:
    """Count with valgrind, only between the marks."""
    marks = compiled("marks", "-shared", "-fPIC")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/out",
            *_again(part, part.repeats, marks),
        ]
        done = subprocess.run(command, capture_output=True, text=True, env=_env(), check=False)
        if done.returncode:
            raise Unfit(f"{part.name} failed:\n{done.stderr[-3000:]}")
        text = (Path(folder) / "out.1").read_text()
    found = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
    if not found:
        raise Unfit("valgrind wrote no total.")
    return int(found[1]) // (part.units * part.repeats)


def with_perf(part: Part) -> int:
    """Count whole processes that differ only in how often they do the work."""
    few, many = part.repeats, part.repeats * 11
    return (_perf(part, many) - _perf(part, few)) // (part.units * (many - few))


def _perf(part: Part, repeats: int) -> int:
    command = ["perf", "stat", "-x,", "-e", "instructions:u", *_again(part, repeats, None)]
    done = subprocess.run(command, capture_output=True, text=True, env=_env(), check=False)
    found = re.search(r"^(\d+),[^,]*,instructions", done.stderr, re.MULTILINE)
    if done.returncode or not found:
        raise Unfit(f"{part.name} failed:\n{done.stderr[-3000:]}")
    return int(found[1])


def perf_counts() -> bool:
    """Say whether `perf` is installed and the machine lets it count."""
    if not shutil.which("perf"):
        return False
    command = ["perf", "stat", "-x,", "-e", "instructions:u", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return re.match(r"\d+,", done.stderr) is not None


def _again(part: Part, repeats: int, marks: Path | None) -> list[str]:
    own = [sys.executable, "-X", "frozen_modules=on", "-m", "benchmarks.instructions"]
    return [*own, "--part", part.name, "--repeats", str(repeats), "--marks", str(marks or "")]


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def compare(counts: Counts, baseline: Counts) -> list[tuple[str, int, float | None]]:
    """Give each count and how much it has grown over *baseline*, None where that has none."""
    return [
        (name, count, count / baseline[name] - 1 if name in baseline else None)
        for name, count in counts.items()
    ]


def count_all() -> tuple[str, Counts]:
    """Count every part; give the way of counting, and instructions a unit. Raises `Unfit`."""
    if perf_counts():
        return "perf", {part.name: with_perf(part) for part in PARTS}
    if shutil.which("valgrind"):
        return "callgrind", {part.name: with_callgrind(part) for part in PARTS}
    raise Unfit("Neither perf can count instructions here nor is valgrind installed.")


def main() -> None:
    """Count the instructions of a request and of a chunk, and compare them with the baseline."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions", description=main.__doc__
    )
    parser.add_argument("--store", action="store_true", help="take the counts as the baseline")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--marks", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.part:
            _count_me(options)
            return
        way, counts = count_all()
    except Unfit as fault:
        sys.exit(str(fault))
    # Another interpreter needs other numbers of instructions for the same work.
    key = f"{way}, Python {sys.version_info.major}.{sys.version_info.minor}"
    stored = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if options.store:
        BASELINE.write_text(json.dumps(stored | {key: counts}, indent=2) + "\n")
    sys.exit(told(key, compare(counts, stored.get(key, {}))))


def told(key: str, compared: list[tuple[str, int, float | None]]) -> int:
    """Print the comparison; give the exit status."""
    print(f"instructions a unit ({key})")
    for name, count, growth in compared:
        shown = "no baseline" if growth is None else f"{growth:+.1%}"
        print(f"  {name:20}{count:>12,}  {shown}")
    slower = [name for name, _, growth in compared if growth is not None and growth > TOLERANCE]
    if slower:
        print(f"more than {TOLERANCE:.0%} above the baseline: {', '.join(slower)}")
    return 1 if slower else 0


def _count_me(options: argparse.Namespace) -> None:
    """Do one part's work in this process, for whoever counts it."""
    part = next(part for part in PARTS if part.name == options.part)
    if options.marks:
        marks = ctypes.CDLL(options.marks)
        asyncio.run(run(part, options.repeats, marks.begin, marks.end))
    else:
        asyncio.run(run(part, options.repeats, _nothing, _nothing))


def _nothing() -> None:
    """Mark nothing."""


if __name__ == "__main__":
    main()
