"""Licenses from loose fields: by the rules of config.toml, each fault naming its field."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.licenses.making import change_license, fields_of, make_license


def test_fields_become_a_license_with_limits():
    license_ = make_license({"id": "alice", "requests_per_minute": 60, "models": ["gemini-*"]})
    assert (license_.id, license_.models) == ("alice", ("gemini-*",))
    assert license_.limits.requests_per_minute == 60
    assert license_.limits.tokens_per_day is None


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": "../etc"}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"id": 5}, "id"),
        ({"id": "a", "requests_per_minute": 0}, "requests_per_minute"),
        ({"id": "a", "tokens_per_day": -1}, "tokens_per_day"),
        ({"id": "a", "usd_per_month": "much"}, "usd_per_month"),
        ({"id": "a", "tokens_per_month": 2**53 + 1}, "tokens_per_month"),
        ({"id": "a", "usd_per_day": "inf"}, "usd_per_day"),
        ({"id": "a", "usd_per_month": "nan"}, "usd_per_month"),
        ({"id": "a", "usd_per_month": 1e10}, "usd_per_month"),
        ({"id": "a", "expires": "soon"}, "expires"),
        ({"id": "a", "expires": "9999-12-31T23:59:59-05:00"}, "expires"),
        ({"id": "a", "expires": "9999-12-31", "timezone": "America/New_York"}, "expires"),
        ({"id": "a", "expires": "0001-01-01", "timezone": "Asia/Tokyo"}, "expires"),
        ({"id": "a", "timezone": "Mars/Olympus"}, "timezone"),
        ({"id": "a", "networks": ["10.0.0.0/99"]}, "networks"),
    ],
)
def test_a_fault_names_its_field(fields, place):
    with pytest.raises(ValueError, match=rf"^{place}"):
        make_license(fields)


def test_a_day_begins_in_the_zone_of_the_license():
    here = make_license({"id": "a", "expires": "2027-01-01", "timezone": "Asia/Shanghai"})
    assert here.expires == datetime(2027, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    moment = make_license({"id": "a", "expires": "2027-01-01T12:00:00+00:00"})
    assert moment.expires == datetime(2027, 1, 1, 12, tzinfo=UTC)


def test_a_change_leaves_the_rest_as_it_was():
    before = make_license({"id": "a", "owner": "Ann", "requests_per_day": 5})
    after = change_license(before, {"requests_per_day": 7})
    assert (after.owner, after.limits.requests_per_day) == ("Ann", 7)
    assert make_license(fields_of(before)) == before
    with pytest.raises(ValueError, match="requests_per_day"):
        change_license(before, {"requests_per_day": 0})
