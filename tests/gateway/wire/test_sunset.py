import pytest

from gateway.wire.sunset import http_date


def test_a_retirement_is_an_http_date_whatever_its_zone():
    for moment in ("2027-03-15T00:00:00Z", "2027-03-14T22:00:00-02:00"):
        assert http_date(moment) == "Mon, 15 Mar 2027 00:00:00 GMT"


@pytest.mark.parametrize("moment", ["soon", None, 5, "", ["2027-03-15T00:00:00Z"]])
def test_what_is_no_moment_is_no_date(moment):
    assert http_date(moment) is None
