"""Days and months of quotas, with clock changes and odd zones."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.state.calendar import Calendar, windows


def stamp(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("zone", "now", "day", "month"),
    [
        (
            "UTC",
            "2026-11-23T12:00",
            ("2026-11-23T00:00", "2026-11-24T00:00"),
            ("2026-11-01T00:00", "2026-12-01T00:00"),
        ),
        # The clock goes forward: a day of 23 hours.
        (
            "Europe/Berlin",
            "2026-03-29T12:00",
            ("2026-03-28T23:00", "2026-03-29T22:00"),
            ("2026-02-28T23:00", "2026-03-31T22:00"),
        ),
        # The clock goes back: a day of 25 hours.
        (
            "America/New_York",
            "2026-11-01T12:00",
            ("2026-11-01T04:00", "2026-11-02T05:00"),
            ("2026-11-01T04:00", "2026-12-01T05:00"),
        ),
        # Midnight itself is skipped: the day begins at one.
        (
            "Africa/Cairo",
            "2026-04-24T12:00",
            ("2026-04-23T22:00", "2026-04-24T21:00"),
            ("2026-03-31T22:00", "2026-04-30T21:00"),
        ),
        # Midnight comes twice: the first counts.
        (
            "America/Havana",
            "2026-11-01T12:00",
            ("2026-11-01T04:00", "2026-11-02T05:00"),
            ("2026-11-01T04:00", "2026-12-01T05:00"),
        ),
        (
            "Asia/Kathmandu",
            "2026-12-31T20:00",
            ("2026-12-31T18:15", "2027-01-01T18:15"),
            ("2026-12-31T18:15", "2027-01-31T18:15"),
        ),
        # A leap day.
        (
            "UTC",
            "2028-02-29T00:00",
            ("2028-02-29T00:00", "2028-03-01T00:00"),
            ("2028-02-01T00:00", "2028-03-01T00:00"),
        ),
    ],
)
def test_windows_begin_at_the_zones_midnight(zone, now, day, month):
    found = windows(ZoneInfo(zone), stamp(now))
    assert found == tuple(stamp(text) for text in (*day, *month))


def test_a_calendar_turns_with_the_day_forward_and_back():
    calendar = Calendar("UTC")
    noon = stamp("2026-11-23T12:00")
    assert calendar.at(noon) is calendar.at(noon + 3_600)
    assert calendar.at(noon + 86_400).day_start == calendar.at(noon).day_end
    assert calendar.at(noon - 86_400).day_end == calendar.at(noon).day_start
