"""`python -m benchmarks`: measures, prints the table and the bars, writes the JSON."""

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import measure, process, report, scenarios, targets
from benchmarks.native import Unfit
from benchmarks.report import Rounds

# More use by other programs spoils caches and delays.
QUIET_CORES = 0.2
GROUPS = ("short", "stream", "held", "body", "workers")


def main() -> None:
    """Measure the gateway beside a minimal relay, and nginx where it is installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns, there and back (3)")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups: " + ", ".join(GROUPS))
    names = ", ".join(target.name for target in targets.ALL)
    parser.add_argument("--targets", default="", help="some of: " + names)
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    # Stopping this must stop what it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        result = run(options)
    except (Unfit, targets.NoStart) as fault:
        sys.exit(str(fault))
    rounds = result["rounds"]
    print(report.table(rounds))
    print()
    print(report.bar_table(rounds))
    if busy := report.saturated(rounds):
        print(f"\nThe load was the limit, rates and delays are its own: {', '.join(busy)}.")
    print(f"\nOther programs used {result['other_cores']:.2f} cores meanwhile (median).")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    sys.exit(status(rounds, result["other_cores"]))


def status(rounds: Rounds, other_cores: float) -> int:
    """Return the exit status: 1 when a bar was missed, 2 when noise prevents a verdict."""
    if other_cores > QUIET_CORES:
        print("That is too much to decide anything. Measure again on a quiet machine.")
        return 2
    words = {report.verdict(bar, values) for bar, values in report.bars(rounds)}
    return 1 if "MISSED" in words else 2 if "UNDECIDED" in words else 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what *options* select; return the rounds and data on the machine."""
    groups = options.only.split(",")
    chosen = [scenario for scenario in scenarios.ALL if scenario.group in groups]
    tested = _tested(options.targets, groups)
    rounds: Rounds = {target.name: [] for target in tested}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        upstream = stack.enter_context(measure.upstream())
        valkey = stack.enter_context(measure.valkey(folder, tested))
        bench = measure.Bench(folder, upstream, 0.4 if options.quick else 1.0, valkey)
        for number in range(1 if options.quick else options.rounds):
            print(f"round {number + 1}, {time.strftime('%H:%M:%S')}", file=sys.stderr)
            turn = tested[:: -1 if number % 2 else 1]
            measurements = bench.round(turn, chosen)
            if "held" in groups:
                levels = scenarios.LEVELS[:2] if options.quick else scenarios.LEVELS
                for name, figures in bench.held(turn, levels).items():
                    measurements[name][0] |= figures
            for target in tested:
                rounds[target.name] += measurements[target.name]
    return {
        "when": time.strftime("%Y-%m-%d"),
        "machine": _machine(),
        "other_cores": statistics.median(bench.other_cores),
        "medians": report.medians(rounds),
        "rounds": rounds,
    }


def _tested(names: str, groups: list[str]) -> list[targets.Target]:
    chosen = names.split(",") if names else [target.name for target in targets.ALL]
    unknown = set(chosen) - {target.name for target in targets.ALL}
    if unknown:
        raise Unfit(f"Unknown targets: {', '.join(sorted(unknown))}.")
    available = [target for target in targets.ALL if target.name in chosen]
    for target in available:
        if not targets.installed(target):
            print(f"{target.name} is left out: not installed here", file=sys.stderr)
    return [
        target
        for target in available
        if targets.installed(target) and any(measure.takes_part(target, group) for group in groups)
    ]


def _machine() -> dict[str, Any]:
    usable = process.cores()
    return {
        "cores": len(os.sched_getaffinity(0)),
        "one_core_for_all": usable[0] == usable[1],
        "python": platform.python_version(),
        "system": platform.system(),
    }


if __name__ == "__main__":
    main()
