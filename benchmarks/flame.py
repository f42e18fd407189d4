"""Draws where the gateway spends CPU time: `python -m benchmarks.flame SCENARIO FILE.svg`.

The gateway runs with a timer of CPU time inside; at each tick the Python stack is counted. Time in
C code counts for the Python function that called it.
"""

import argparse
import atexit
import html
import os
import runpy
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from benchmarks import measure, scenarios, targets
from benchmarks.targets import Place, Target

Stack = tuple[str, ...]
TICK_S = 0.001
WIDTH, ROW = 1200, 17
# Narrower boxes say nothing and only make the file bigger.
NARROWEST = 1.5
FONT = 'font-family="monospace" font-size="11"'
COLOURS = {"gateway": "#f2a65a", "middlewares": "#eddd8e", "aiohttp": "#8ecae6", "": "#cfcfcf"}


def sample_into(file: Path) -> None:
    """Count this process's stacks from now on; write them to *file* at the end."""
    counts: Counter[Stack] = Counter()

    def count(_signal: int, frame: FrameType | None) -> None:
        if stack := stack_of(frame):
            counts[stack] += 1

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        file.write_text("".join(f"{';'.join(stack)} {n}\n" for stack, n in counts.items()))

    atexit.register(write)
    signal.signal(signal.SIGPROF, count)
    signal.setitimer(signal.ITIMER_PROF, TICK_S, TICK_S)


def stack_of(frame: FrameType | None) -> Stack:
    """Return the names of the functions run by the event loop, down to *frame*."""
    names: list[str] = []
    while frame:
        module = str(frame.f_globals.get("__name__", "?"))
        names.append(f"{module}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    names.reverse()
    # What started the loop is the same in all stacks.
    starts = [i for i, name in enumerate(names) if name.startswith("asyncio.runners.")]
    return tuple(names[starts[-1] + 1 :]) if starts else ()


@dataclass(slots=True)
class Node:
    """A function at its place in the stack: *total* ticks in it and below, *own* ones in it."""

    name: str
    total: int
    children: "dict[str, Node]"


def tree(counts: Counter[Stack]) -> Node:
    """Merge stacks with the same beginning."""
    root = Node("all", counts.total(), {})
    for stack, n in counts.items():
        node = root
        for name in stack:
            node = node.children.setdefault(name, Node(name, 0, {}))
            node.total += n
    return root


@dataclass(frozen=True, slots=True)
class Box:
    """One rectangle of the drawing; *x* and *width* in parts of one."""

    x: float
    width: float
    depth: int
    node: Node


def boxes(node: Node, x: float, depth: int, whole: int) -> Iterator[Box]:
    """Lay out *node* and what it called, widest first."""
    yield Box(x, node.total / whole, depth, node)
    for child in sorted(node.children.values(), key=lambda child: -child.total):
        if child.total / whole * WIDTH >= NARROWEST:
            yield from boxes(child, x, depth + 1, whole)
        x += child.total / whole


def draw(counts: Counter[Stack], title: str) -> str:
    """Return the drawing as SVG."""
    root = tree(counts)
    laid = list(boxes(root, 0.0, 0, max(root.total, 1)))
    height = ROW * (max(box.depth for box in laid) + 3)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<text x="4" y="14" font-size="13">{html.escape(title)}</text>',
        *(_drawn(box, root.total) for box in laid),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _drawn(box: Box, whole: int) -> str:
    x, width, y = box.x * WIDTH, box.width * WIDTH, (box.depth + 1.5) * ROW
    name = box.node.name
    colour = COLOURS.get(name.split(".")[0], COLOURS[""])
    short = ".".join(name.split(".")[-2:])[: int(width / 6.8)]
    tooltip = html.escape(f"{name}: {box.node.total / whole:.1%}")
    text = html.escape(short) if width > 25 else ""
    size = f'width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}"'
    return (
        f'<g><title>{tooltip}</title><rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'
        f'<text x="{x + 2:.1f}" y="{y + 12:.1f}">{text}</text></g>'
    )


def read(file: Path) -> Counter[Stack]:
    """Read what `sample_into` has written."""
    counts: Counter[Stack] = Counter()
    for line in file.read_text().splitlines():
        stack, _, n = line.rpartition(" ")
        counts[tuple(stack.split(";"))] += int(n)
    return counts


def own_times(counts: Counter[Stack]) -> list[tuple[str, float]]:
    """Return each function's own share of the time, biggest first."""
    own: Counter[str] = Counter()
    for stack, n in counts.items():
        own[stack[-1] if stack else "?"] += n
    return [(name, n / counts.total()) for name, n in own.most_common()]


def sampled(scenario: scenarios.Scenario) -> tuple[Counter[Stack], float]:
    """Run *scenario* on the gateway; return its stacks and the CPU microseconds per unit."""
    with tempfile.TemporaryDirectory() as name, measure.upstream() as upstream:
        folder = Path(name)
        stacks = folder / "stacks"

        def command(place: Place) -> list[str]:
            serve = targets.gateway()(place)
            return [sys.executable, "-m", "benchmarks.flame", "--serve", str(stacks), *serve[3:]]

        path, headers = targets.GATEWAY_PATH, targets.GATEWAY_HEADERS
        bench = measure.Bench(folder, upstream, 1.0)
        with bench.start(Target("gateway", command, path, headers=headers)) as running:
            figures = bench.measure(running, scenario)
        return read(stacks), figures["cpu_us"]


def serve(stacks: str, arguments: list[str]) -> None:
    """Run the gateway in this process, sampled."""
    sample_into(Path(stacks))
    sys.argv = ["gateway", *arguments]
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)


def main() -> None:
    """Sample the gateway under one scenario and draw a flame graph."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3:])
        return
    by_name = {scenario.name: scenario for scenario in (*scenarios.ALL, scenarios.held(100))}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=main.__doc__)
    parser.add_argument("scenario", choices=sorted(by_name))
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    counts, cpu_us = sampled(replace(by_name[options.scenario], seconds=options.seconds))
    title = f"{options.scenario}: {cpu_us:.1f} us of CPU a unit, {counts.total()} samples"
    options.file.write_text(draw(counts, title))
    print(title)
    for name, share in own_times(counts)[:40]:
        print(f"{share:7.1%} {share * cpu_us:9.2f} us  {name}")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
