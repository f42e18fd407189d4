"""What is made of the figures."""

import pytest

from benchmarks import __main__ as main
from benchmarks import report
from benchmarks.report import Bar

COST = Bar("cost", "a.cpu_us", "x", 1.5, 1.25)
HELD = Bar("held", "held.streams", "x", 0.8, 1.0)


def rounds(*pairs):
    return {
        "relay": [{"a.cpu_us": base} for _, base in pairs],
        "gateway": [{"a.cpu_us": own} for own, _ in pairs],
    }


def test_a_ratio_is_each_rounds_own():
    found = report.compared(rounds((100, 100), (600, 300), (150, 100)), COST)
    assert found == [1.0, 2.0, 1.5]


def test_what_was_not_measured_has_no_ratio():
    assert report.compared({"relay": [{}], "gateway": [{"a.cpu_us": 1.0}]}, COST) == []
    assert report.compared({"gateway": [{"a.cpu_us": 1.0}]}, COST) == []


@pytest.mark.parametrize(
    ("bar", "values", "word"),
    [
        (COST, [1.2], "dream"),
        (COST, [1.2, 1.5, 1.4], "held"),
        (COST, [1.51, 1.6], "MISSED"),
        (COST, [1.4, 1.6, 1.4], "UNDECIDED"),
        (HELD, [1.0], "dream"),
        (HELD, [0.85], "held"),
        (HELD, [0.7], "MISSED"),
        (HELD, [0.7, 0.9], "UNDECIDED"),
        (COST, [1.4, 1.4, 1.4, 1.4, 1.4, 1.4, 9.0], "held"),
        (COST, [1.6, 1.6, 1.6, 1.6, 1.6, 1.6, 1.0], "MISSED"),
        (COST, [1.4, 1.4, 1.4, 1.4, 1.6, 1.6, 1.6], "UNDECIDED"),
    ],
)
def test_a_bar_is_missed_from_its_own_side_and_by_the_middle_half_of_many(bar, values, word):
    assert report.verdict(bar, values) == word


def test_a_smaller_cost_is_a_greater_yield():
    found = rounds((50, 90))
    assert report.compared(found, Bar("yield", "a.cpu_us", "/", 1.7, 2.0)) == [1.8]


def test_the_load_is_named_where_it_was_the_limit():
    found = {"relay": [{"short-1.load_cores": 0.4, "short-256.load_cores": 0.97}]}
    assert report.saturated(found) == ["short-256 (relay)"]


@pytest.mark.parametrize(
    ("pairs", "other_cores", "status"),
    [
        ([(70, 100)], 0.1, 0),
        ([(170, 100)], 0.1, 1),
        ([(170, 100), (140, 100)], 0.1, 2),
        ([(170, 100)], 0.3, 2),
    ],
)
def test_the_exit_status_tells_what_was_decided(monkeypatch, pairs, other_cores, status):
    monkeypatch.setattr(report, "BARS", (COST,))
    assert main.status(rounds(*pairs), other_cores) == status


def test_the_table_shows_medians_and_ratios_to_the_first_target():
    lines = report.table(rounds((150, 100), (150, 100))).splitlines()
    assert lines[1].split() == ["a.cpu_us", "100.0", "(1.00)", "150.0", "(1.50)"]
