"""Values that run out, bounded in number and size."""

import pytest

from gateway.state import values
from gateway.state.values import LocalValues


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def kept(now):
    return LocalValues(lambda: now[0])


def test_a_value_runs_out_at_its_time(kept, now):
    kept.put("a", b"1", 5.0)
    now[0] += 4.9
    assert kept.get("a") == b"1"
    now[0] += 0.1
    assert kept.get("a") is None


def test_a_later_value_replaces_an_earlier_one(kept):
    kept.put("a", b"1", 5.0)
    kept.put("a", b"2", 5.0)
    assert kept.get("a") == b"2"


def test_beyond_the_number_the_longest_unused_goes(kept, monkeypatch):
    monkeypatch.setattr(values, "MAX_VALUES", 2)
    kept.put("a", b"1", 5.0)
    kept.put("b", b"2", 5.0)
    kept.get("a")
    kept.put("c", b"3", 5.0)
    assert [kept.get(key) for key in "abc"] == [b"1", None, b"3"]


def test_beyond_the_size_the_longest_unused_goes(kept, monkeypatch):
    monkeypatch.setattr(values, "MAX_BYTES", 10)
    kept.put("a", b"x" * 6, 5.0)
    kept.put("b", b"x" * 6, 5.0)
    assert [kept.get(key) for key in "ab"] == [None, b"x" * 6]
    kept.put("huge", b"x" * 11, 5.0)
    assert kept.get("huge") is None
