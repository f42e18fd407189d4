"""Sums over the ledger, by license, model and the days of a time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.database.statements import insert_new
from gateway.database.tables import KINDS, USAGE
from gateway.exchange import Usage
from gateway.ledger import report
from gateway.ledger.report import Selection, sums
from gateway.ledger.row import LedgerRow, to_row
from gateway.ledger.writer import RowWriter

BERLIN = ZoneInfo("Europe/Berlin")


def booked(number, moment, license_="a", model="m", status=200):
    at = int(datetime.fromisoformat(moment).timestamp() * 1000)
    row = LedgerRow(
        at, "id", license_, model, model, "main", Usage(10, 5, 15, 2, 1), 0.5, 9, status, None, None
    )
    return to_row(str(number), row)


@pytest.fixture
async def filled(database):
    rows = [
        booked(1, "2026-10-24T23:30:00+02:00"),
        booked(2, "2026-10-25T00:00:00+02:00"),
        booked(3, "2026-10-25T23:59:59+01:00", model="n", status=429),
        booked(4, "2026-10-26T00:00:00+01:00", license_="b"),
    ]
    async with database.writing() as connection:
        await connection.execute(insert_new(connection, USAGE), rows)
    return database


async def test_days_are_those_of_the_zone_also_when_clocks_change(filled):
    found = await sums(filled, Selection(0), ("day",), BERLIN)
    assert [(one.day, one.requests) for one in found] == [
        ("2026-10-24", 1),
        ("2026-10-25", 2),
        ("2026-10-26", 1),
    ]
    kathmandu = await sums(filled, Selection(0), ("day",), ZoneInfo("Asia/Kathmandu"))
    assert [(one.day, one.requests) for one in kathmandu] == [("2026-10-25", 2), ("2026-10-26", 2)]


async def test_many_rows_are_added_up_a_few_at_a_time(filled, monkeypatch):
    sizes = []
    add = report._add_quarters

    def add_noting_size(added, rows, *more):
        sizes.append(len(rows))
        add(added, rows, *more)

    monkeypatch.setattr(report, "_ROWS_AT_ONCE", 2)
    monkeypatch.setattr(report, "_add_quarters", add_noting_size)
    found = await sums(filled, Selection(0), ("day",), BERLIN)
    assert [one.requests for one in found] == [1, 2, 1]
    assert sizes == [2, 2]


async def test_everything_is_added_up(filled):
    [found] = await sums(filled, Selection(0), ())
    assert found == (None, None, None, 4, 1, 40, 20, 8, 4, 60, *(0,) * len(KINDS), 2.0)


async def test_sound_images_and_searches_are_told_of_where_there_are_any(filled):
    drawn = Usage(1, 2, 3, audio_input=4, image_input=5, audio_output=6, image_output=7)
    drawn.video_output, drawn.searches, drawn.maps = 8, 9, 10
    row = LedgerRow(9, "id", "a", "m", "m", "main", drawn, 0.5, 9, 200, None, None)
    assert await RowWriter(filled).write([to_row("6", row), booked(7, "2026-10-26T00:00:00Z")])
    [found] = await sums(filled, Selection(0), ())
    assert found.requests == 6
    assert [getattr(found, name) for name in KINDS] == [4, 5, 6, 7, 8, 19]


async def test_groups_and_moments_narrow_it(filled):
    by_model = await sums(filled, Selection(0, license="a"), ("license", "model"))
    assert [(one.license, one.model, one.requests) for one in by_model] == [
        ("a", "m", 2),
        ("a", "n", 1),
    ]
    midnight = datetime.fromisoformat("2026-10-25T00:00:00+02:00").timestamp()
    [found] = await sums(filled, Selection(midnight, midnight + 86_400), ())
    assert found.requests == 1


async def test_an_empty_ledger_gives_nothing(database):
    assert await sums(database, Selection(0), ()) == []
