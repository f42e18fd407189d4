"""Licenses as rows of tables, and back."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from gateway.exchange import License
from gateway.licenses.rows import by_digest, license_of_row, row_of
from tests.gateway.licenses.full import FULL


def row(license_, **columns):
    return SimpleNamespace(**{**row_of(license_), **columns})


@pytest.mark.parametrize("license_", [FULL, License("bare")], ids=["full", "bare"])
def test_a_license_is_the_same_after_it_was_a_row(license_):
    assert license_of_row(row(license_)) == license_


def test_licenses_without_limits_share_one_object():
    limits = [license_of_row(row(License(id_))).limits for id_ in ("a", "b")]
    assert limits[0] is limits[1]


@pytest.mark.parametrize(
    ("end", "expires"),
    [(None, FULL.expires), (60, datetime.fromtimestamp(60, UTC)), (10**12, FULL.expires)],
)
def test_a_license_ends_with_the_key_that_ends_before(end, expires):
    key = SimpleNamespace(digest=b"d", license="alice", expires=end)
    assert by_digest([row(FULL)], [key])[b"d"].expires == expires


def test_what_ends_after_the_last_year_never_does():
    assert license_of_row(row(FULL, expires=10**12)).expires is None
