"""Licenses on file: what is written is read back as it was."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.exchange import License, Limits
from gateway.licenses import exports
from gateway.licenses.imports import candidates
from gateway.licenses.records import StoredKey, StoredLicense

PEPPER = b"pepper"
MOMENTS = st.integers(0, 2**32)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
LICENSES = st.builds(
    License,
    id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    owner=TEXTS,
    note=TEXTS,
    models=st.lists(TEXTS.filter(bool), max_size=3).map(tuple),
    networks=st.lists(st.sampled_from(["::1", "10.0.0.0/8"]), max_size=2).map(tuple),
    limits=st.builds(
        Limits,
        tokens_per_minute=st.none() | st.integers(1, 2**53),
        usd_per_day=st.none() | st.floats(1e-9, 1e9),
    ),
    timezone=st.sampled_from(["UTC", "Asia/Shanghai"]),
    expires=st.none() | MOMENTS.map(lambda at: datetime.fromtimestamp(at, UTC)),
    disabled=st.booleans(),
)
KEYS = st.builds(
    StoredKey, st.binary(min_size=32, max_size=32).map(bytes.hex), st.none() | MOMENTS, MOMENTS
)
STORED = st.builds(
    StoredLicense, LICENSES, MOMENTS, st.lists(KEYS, min_size=1, max_size=3).map(tuple)
)


@given(st.lists(STORED, min_size=1, max_size=4))
@example(
    [StoredLicense(License("a", note="one\rtwo\r\nthree\n"), 1, (StoredKey("0" * 64, None, 1),))]
)
def test_a_row_of_csv_is_read_back_as_it_was(stored):
    text = exports.as_csv(exports.to_rows(stored, PEPPER, with_pepper=True))
    found = [one.new for one in candidates(text, lambda _: True)]
    assert [(one.license, one.created, one.keys) for one in found] == [
        (one.license, one.created, one.keys) for one in stored
    ]
    assert {one.pepper for one in found} == {"pepper"}


def test_the_pepper_itself_is_left_out_unless_asked_for():
    stored = [StoredLicense(License("a"), 1, (StoredKey("0" * 64, None, 1),))]
    [row] = exports.to_rows(stored, PEPPER, with_pepper=False)
    assert "pepper" not in row
    assert "pepper" not in row["pepper_check"]
    assert exports.read_row(row).pepper == ""


def test_without_licenses_there_is_a_head_that_can_be_imported():
    assert list(candidates(exports.as_csv([]), lambda _: False)) == []


@pytest.mark.parametrize("row", [{"id": "a", "key": "k"}, {}])
def test_rows_of_other_gateways_are_told_apart(row):
    assert not exports.is_own(row)
