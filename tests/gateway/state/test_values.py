"""Values that run out, bounded in number and size."""

import pytest

from gateway.state import values
from gateway.state.values import LocalValues


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def local_values(now):
    return LocalValues(lambda: now[0])


def test_a_value_runs_out_at_its_time(local_values, now):
    local_values.put("a", b"1", 5.0)
    now[0] += 4.9
    assert local_values.get("a") == b"1"
    now[0] += 0.1
    assert local_values.get("a") is None


def test_a_later_value_replaces_an_earlier_one(local_values):
    local_values.put("a", b"1", 5.0)
    local_values.put("a", b"2", 5.0)
    assert local_values.get("a") == b"2"


def test_beyond_the_number_the_longest_unused_goes(local_values, monkeypatch):
    monkeypatch.setattr(values, "MAX_VALUES", 2)
    local_values.put("a", b"1", 5.0)
    local_values.put("b", b"2", 5.0)
    local_values.get("a")
    local_values.put("c", b"3", 5.0)
    assert [local_values.get(key) for key in "abc"] == [b"1", None, b"3"]


def test_beyond_the_size_the_longest_unused_goes(local_values, monkeypatch):
    monkeypatch.setattr(values, "MAX_BYTES", 10)
    local_values.put("a", b"x" * 6, 5.0)
    local_values.put("b", b"x" * 6, 5.0)
    assert [local_values.get(key) for key in "ab"] == [None, b"x" * 6]
    local_values.put("huge", b"x" * 11, 5.0)
    assert local_values.get("huge") is None
