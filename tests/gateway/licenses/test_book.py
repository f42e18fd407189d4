"""The book of licenses: found by digest, replaced source by source."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.exchange import License
from gateway.licenses.book import Book, fixed
from gateway.licenses.digest import digest, keyed_digest
from gateway.settings import License as FixedLicense


def test_a_license_is_found_by_its_key_only():
    book = Book()
    book.replace_fixed({digest("secret"): License("alice")})
    assert book.find("secret") == License("alice")
    assert book.find("Secret") is None
    assert book.find("") is None


def test_keys_that_are_wrong_take_no_memory():
    book = Book()
    book.replace_fixed({digest("secret"): License("alice")})
    for number in range(100):
        book.find(f"wrong {number}")
        book.find("secret")
    assert len(book._recent) == 1


def test_each_set_is_replaced_as_a_whole_and_the_fixed_one_wins():
    book = Book()
    pepper = b"pepper"
    book.replace_fixed({digest("a"): License("fixed")})
    book.replace_keyed(
        pepper,
        {keyed_digest("a", pepper): License("other"), keyed_digest("b", pepper): License("b")},
    )
    assert book.find("a").id == "fixed"
    book.replace_fixed({})
    assert book.find("a").id == "other"
    book.replace_keyed(pepper, {})
    assert book.find("b") is None


def test_fixed_licenses_keep_what_their_table_says():
    table = FixedLicense(
        id="alice",
        key=" Bearer secret ",
        owner="Alice",
        requests_per_minute=60,
        models=("gemini-2.5-*",),
        expires=date(2027, 1, 1),
    )
    licenses = fixed((table, FixedLicense(id="bob", key_sha256=digest("hidden").hex())))
    alice, bob = licenses[digest("secret")], licenses[digest("hidden")]
    assert (alice.id, alice.owner, alice.models) == ("alice", "Alice", ("gemini-2.5-*",))
    assert alice.limits.requests_per_minute == 60
    assert alice.limits.tokens_per_day is None
    assert alice.expires == datetime(2027, 1, 1, tzinfo=UTC)
    assert bob == License("bob")


def test_a_moment_keeps_its_own_zone():
    moment = datetime.fromisoformat("2027-01-01T00:00:00+08:00")
    (found,) = fixed((FixedLicense(id="a", key="k", expires=moment),)).values()
    assert found.expires == moment
    naive = FixedLicense(id="a", key="k", expires=datetime(2027, 1, 1))
    (found,) = fixed((naive,)).values()
    assert found.expires == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("expires", [date(2027, 1, 1), datetime(2027, 1, 1)])
def test_a_day_begins_in_the_zone_of_the_license(expires):
    table = FixedLicense(id="a", key="k", timezone="Asia/Shanghai", expires=expires)
    (found,) = fixed((table,)).values()
    assert found.expires == datetime(2027, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
