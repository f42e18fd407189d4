"""The statements: many rows at once are the same rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from gateway.database import statements
from gateway.database.statements import (
    all_rows,
    insert_many,
    look_for_revision,
    raise_revision,
    revision_of,
)
from gateway.database.tables import KINDS, LICENSE_KEYS, LICENSES, USAGE

ODD_TEXT = "".join(map(chr, range(1, 0x80))) + "ü漢🎲\u2028"


def usage(key: str) -> dict[str, object]:
    texts = dict.fromkeys(("asked", "model", "credential", "finish", "error"))
    numbers = dict.fromkeys(
        ("prompt", "completion", "cached", "thoughts", "total", "milliseconds", "status"), 0
    )
    return texts | numbers | {"key": key, "at": 1, "id": key, "license": "a", "cost_nanos": None}


def license_row(id_: str, **fields: object) -> dict[str, object]:
    row = dict.fromkeys(LICENSES.c.keys()) | {"models": "[]", "networks": "[]", "timezone": "UTC"}
    return row | {"id": id_, "owner": "", "note": "", "disabled": False, "created": 0} | fields


@pytest.mark.parametrize("count", [0, 1, 3, 5, 6, 99, 499, 500, 631])
async def test_any_number_of_rows_is_inserted_whole_and_in_order(database, count):
    rows = [usage(f"{number:04}") for number in range(count)]
    await insert_many(database, USAGE, rows)
    async with database.reading() as connection:
        found = (await connection.execute(select(USAGE).order_by(USAGE.c.key))).mappings().all()
    assert [dict(row) for row in found] == [row | dict.fromkeys(KINDS) for row in rows]


async def test_rows_that_are_there_already_are_passed_over(database):
    first, second = [usage(f"{number}") for number in range(9)], usage("3") | {"prompt": 7}
    await insert_many(database, USAGE, first)
    await insert_many(database, USAGE, [second, usage("new")])
    async with database.reading() as connection:
        found = (await connection.execute(select(USAGE.c.key, USAGE.c.prompt))).all()
    assert sorted(found) == [*((f"{number}", 0) for number in range(9)), ("new", 0)]


@given(count=st.integers(1, 2_000), most=st.integers(1, 2_000))
def test_pieces_hold_every_row_and_are_filled_with_their_last_one(count, most):
    pieces = list(statements._pieces(range(count), most))
    assert all(len(piece) <= most and len(piece) in statements._SIZES for piece in pieces)
    *whole, last = pieces
    rows = [row for piece in whole for row in piece]
    assert [*rows, *dict.fromkeys(last)] == list(range(count))


async def test_a_revision_alone_is_the_one_that_a_transaction_sees(database):
    assert await look_for_revision(database, "licenses") == 0
    async with database.writing() as connection:
        await raise_revision(connection, "licenses")
        await raise_revision(connection, "licenses")
        assert await revision_of(connection, "licenses") == 2
        assert await revision_of(connection, "others") == 0
    assert await look_for_revision(database, "licenses") == 2


async def test_all_rows_are_as_the_driver_reads_them(database):
    """Every kind of column, with values that JSON could spoil."""
    licenses = [
        license_row("plain"),
        license_row(
            "odd", note=ODD_TEXT, usd_per_day=0.1, expires=2**53 + 1, disabled=True, owner='"\\'
        ),
    ]
    digest = bytes(range(32))
    key = {"digest": digest, "license": "odd", "expires": None, "created": 5}
    async with database.writing() as connection:
        await connection.execute(LICENSES.insert(), licenses)
        await connection.execute(LICENSE_KEYS.insert(), [key])
    async with database.reading() as connection:
        for table in (LICENSES, LICENSE_KEYS):
            read = (await connection.execute(select(table))).mappings().all()
            found = [
                {name: getattr(row, name) for name in table.c.keys()}  # noqa: SIM118 - no mapping
                for row in await all_rows(connection, table)
            ]
            assert found == [dict(row) for row in read]
            assert found
            assert [*map(type, found[-1].values())] == [*map(type, read[-1].values())]


async def test_an_empty_table_has_no_rows(database):
    async with database.reading() as connection:
        assert await all_rows(connection, LICENSES) == []
