"""The guard against slow changes."""

import subprocess
import sys

import pytest

from benchmarks import instructions
from benchmarks.instructions import Part


def test_growth_beyond_the_tolerance_fails(capsys):
    counts = {
        "short": {"gateway": 232.0, "relay": 100.0},
        "burst": {"gateway": 228.0, "relay": 100.0},
    }
    assert instructions.report(counts, {"short": 2.0, "burst": 2.0}) == 1
    assert "above the baseline: short\n" in capsys.readouterr().out


def test_a_slower_machine_or_interpreter_is_no_growth():
    counts = {"short": {"gateway": 460.0, "relay": 200.0}}
    assert instructions.report(counts, {"short": 2.3}) == 0


def test_without_a_baseline_nothing_fails(capsys):
    assert instructions.report({"short": {"gateway": 2.0, "relay": 1.0}}, {}) == 0
    assert "no baseline" in capsys.readouterr().out


@pytest.mark.parametrize("server", instructions.SERVERS)
@pytest.mark.parametrize("part", [Part("short", 3), Part("burst", 2, events=4, per_read=2)])
def test_each_server_does_the_work_of_each_window_between_the_marks(server, part):
    # In a process of its own: the log and the frozen objects of the server stay there.
    script = (
        "import asyncio; from benchmarks.instructions import *; said = [];"
        "marks = Marks(lambda: said.append('begin'), lambda: said.append('end'));"
        f"asyncio.run(run({server!r}, {part!r}, 2, marks)); print(*said)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == "begin end begin end\n", done.stderr


def test_perf_counts_what_more_windows_need_more(monkeypatch):
    monkeypatch.setattr(instructions, "_perf", lambda _server, _part, windows: 1000 + windows * 7)
    assert instructions.with_perf([Part("short", 7)]) == {"short": {"gateway": 1.0, "relay": 1.0}}
