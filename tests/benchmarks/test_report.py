"""What is made of the figures."""

import pytest

from benchmarks import report
from benchmarks.report import Bar

COST = Bar("cost", "a.cpu_us", "x", 1.5, 1.25)
HELD = Bar("held", "held.streams", "x", 0.8, 1.0)


def rounds(*pairs):
    return {
        "relay": [{"a.cpu_us": base} for _, base in pairs],
        "gateway": [{"a.cpu_us": own} for own, _ in pairs],
    }


def test_a_ratio_is_the_median_of_each_rounds_own():
    assert report.compared(rounds((100, 100), (600, 300), (150, 100)), COST) == 1.5


def test_what_was_not_measured_has_no_ratio():
    assert report.compared({"relay": [{}], "gateway": [{"a.cpu_us": 1.0}]}, COST) is None
    assert report.compared({"gateway": [{"a.cpu_us": 1.0}]}, COST) is None


@pytest.mark.parametrize(
    ("bar", "value", "word"),
    [
        (COST, 1.2, "dream"),
        (COST, 1.5, "held"),
        (COST, 1.51, "MISSED"),
        (HELD, 1.0, "dream"),
        (HELD, 0.85, "held"),
        (HELD, 0.7, "MISSED"),
    ],
)
def test_a_bar_is_missed_from_its_own_side(bar, value, word):
    assert report.verdict(bar, value) == word


def test_the_table_shows_medians_and_ratios_to_the_first_target():
    shown = report.table(rounds((150, 100), (150, 100))).splitlines()
    assert shown[1].split() == ["a.cpu_us", "100.0", "(1.00)", "150.0", "(1.50)"]
