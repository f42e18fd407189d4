"""What one row of the ledger holds of an exchange."""

import pytest

from gateway.database.tables import KINDS
from gateway.errors import TooLarge
from gateway.exchange import Exchange, License, UpstreamCall, Usage
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
    assert [list(group) for group in by_columns([plain, plain])] == [[plain, plain]]
    assert [list(group) for group in by_columns([heard])] == [[heard]]


def test_what_asked_for_nothing_or_came_without_a_license_is_not_booked():
    exchange = Exchange("id", None, 0.0, carries_payload=True)
    assert row_of(exchange, 1.0, 0.5) is None
    exchange.license = License("alice")
    assert row_of(exchange, 1.0, 0.5).license == "alice"
    exchange.carries_payload = False
    assert row_of(exchange, 1.0, 0.5) is None


def test_a_row_tells_who_asked_for_what_and_what_became_of_it():
    exchange = Exchange("id", None, 0.0, carries_payload=True)
    exchange.license = License("alice")
    assert row_of(exchange, 1.5, 0.25) == (
        *(1_500, "id", "alice", None, None, None, Usage(), None, 250, 0, None, None),
    )
    exchange.requested_model = "alias"
    exchange.call = UpstreamCall("called", {}, stream=False)
    assert row_of(exchange, 1.5, 0.25).model == "called"
    outcome = exchange.outcome
    outcome.model, outcome.credential, outcome.usage = "answering", "key", Usage(total=9)
    outcome.cost, outcome.finish_reason, outcome.status = 0.5, "stop", 413
    outcome.error = TooLarge("no")
    usage, code = outcome.usage, outcome.error.code
    assert row_of(exchange, 1.5, 0.25) == (
        *(1_500, "id", "alice", "alias", "answering", "key", usage, 0.5, 250, 413, "stop", code),
    )


@pytest.mark.parametrize(
    ("field", "column"),
    [
        *(("id", "id"), ("license", "license"), ("requested_model", "asked"), ("model", "model")),
        *(("credential", "credential"), ("finish", "finish"), ("error", "error")),
    ],
)
@pytest.mark.parametrize("text", ["a\0b", "é" * 129, "\udcff", "x" * 129])
def test_what_no_database_takes_is_left_out_of_each_text(field, column, text):
    columns = to_row("key", row(**{field: text}))
    kept = columns[column]
    assert 0 < len(kept) <= 128
    assert kept.encode().isascii() == ("é" not in text)
    assert "\0" not in kept
    assert {**columns, column: None} == {**to_row("key", row()), column: None}


def test_each_part_of_a_row_has_its_column():
    usage = Usage(prompt=10, completion=11, cached=3, thoughts=4, total=21)
    assert to_row("key", row(usage=usage, status=499, finish="length", error="code")) == {
        "key": "key",
        "at": 1_700_000_000_001,
        "id": "request-1",
        "license": "alice",
        "asked": "gemini-flash",
        "model": "gemini-2.5-flash",
        "credential": "main",
        "prompt": 10,
        "completion": 11,
        "cached": 3,
        "thoughts": 4,
        "total": 21,
        "cost_nanos": 250_000_000,
        "milliseconds": 7,
        "status": 499,
        "finish": "length",
        "error": "code",
    }


@pytest.mark.parametrize("column", ["prompt", "completion", "cached", "thoughts", "total"])
def test_a_count_is_kept_within_what_sums_can_hold(column):
    kept = [to_row("key", row(usage=Usage(**{column: n})))[column] for n in (-5, 0, 2**39, 2**63)]
    assert kept == [0, 0, 2**39, 2**40]


def test_a_cost_is_kept_in_billionths_within_what_sums_can_hold():
    costs = (None, -1.0, 0.0, 1e-9, 0.25, 1_000.0, 1e300)
    nanos = [to_row("key", row(cost=cost))["cost_nanos"] for cost in costs]
    assert nanos == [None, 0, 0, 1, 250_000_000, 10**12, 2**40]
