"""What one row of the ledger holds of an exchange."""

import pytest

from gateway.database.tables import KINDS
from gateway.exchange import Exchange, License, Usage
from gateway.ledger.row import by_columns, row_of, to_row
from tests.gateway.ledger.test_ledger import row


@pytest.mark.parametrize("kind", [*KINDS, "maps"])
def test_each_kind_of_use_is_kept_even_if_it_is_the_only_one(kind):
    usage = Usage(prompt=1, total=1)
    setattr(usage, kind, 7)
    columns = to_row("key", row(usage=usage))
    column = "searches" if kind == "maps" else kind
    assert {name: columns[name] for name in KINDS} == {**dict.fromkeys(KINDS, 0), column: 7}


def test_rows_of_plain_text_lack_these_columns_and_are_written_apart():
    plain = to_row("one", row(1))
    heard = to_row("two", row(2, usage=Usage(audio_input=3)))
    assert not set(KINDS) & plain.keys()
    assert [list(group) for group in by_columns([plain, heard])] == [[heard], [plain]]


def test_what_asked_for_nothing_or_came_without_a_license_is_not_booked():
    exchange = Exchange("id", None, 0.0, carries_payload=True)
    assert row_of(exchange, 1.0, 0.5) is None
    exchange.license = License("alice")
    assert row_of(exchange, 1.0, 0.5).license == "alice"
    exchange.carries_payload = False
    assert row_of(exchange, 1.0, 0.5) is None
