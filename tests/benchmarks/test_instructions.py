"""The guard against slow changes."""

from benchmarks import instructions


def test_growth_beyond_the_tolerance_fails(capsys):
    compared = instructions.compare({"request": 116, "chunk": 114}, {"request": 100, "chunk": 100})
    assert instructions.told("callgrind", compared) == 1
    assert "above the baseline: request\n" in capsys.readouterr().out


def test_without_a_baseline_nothing_fails(capsys):
    assert instructions.told("perf", instructions.compare({"request": 1}, {})) == 0
    assert "no baseline" in capsys.readouterr().out
