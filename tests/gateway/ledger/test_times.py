"""Times as people write them."""

from zoneinfo import ZoneInfo

import pytest

from gateway.ledger.times import midnight, seconds, since

UTC, SHANGHAI = ZoneInfo("UTC"), ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("text", "length"),
    [("0s", 0), ("90s", 90), ("30m", 1800), (" 24H ", 86_400), ("2w", 1_209_600)],
)
def test_lengths(text, length):
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "7d7d", "9999999d", "٣d"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(ValueError, match="not a length of time"):
        seconds(text)


def test_a_day_begins_in_its_zone():
    assert midnight("1970-01-02", UTC) == 86_400
    assert midnight("1970-01-02", SHANGHAI) == 86_400 - 8 * 3600


def test_since_is_a_length_or_a_day():
    assert since("1d", UTC, 100_000) == 13_600
    assert since("1970-01-02", UTC, 0) == 86_400
    with pytest.raises(ValueError, match="nor a day such as"):
        since("soon", UTC, 0)
