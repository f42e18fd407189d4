"""The statements: many rows at once are the same rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from gateway.database import statements
from gateway.database.engine import Database
from gateway.database.statements import all_rows, insert_many
from gateway.database.tables import LICENSE_KEYS, LICENSES, USAGE

ODD_TEXT = "".join(map(chr, range(1, 0x80))) + "ü漢🎲\u2028"


@pytest.fixture
async def database(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db")
    await database.migrate()
    yield database
    await database.close()


def usage(key: str) -> dict[str, object]:
    texts = dict.fromkeys(("asked", "model", "credential", "finish", "error"))
    numbers = dict.fromkeys(
        ("prompt", "completion", "cached", "thoughts", "total", "milliseconds", "status"), 0
    )
    return texts | numbers | {"key": key, "at": 1, "id": key, "license": "a", "cost_nanos": None}


def license_row(id_: str, **fields: object) -> dict[str, object]:
    row = dict.fromkeys(LICENSES.c.keys()) | {"models": "[]", "networks": "[]", "timezone": "UTC"}
    return row | {"id": id_, "owner": "", "note": "", "disabled": False, "created": 0} | fields


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 99, 499, 500, 631])
async def test_any_number_of_rows_is_inserted_whole_and_in_order(database, count):
    rows = [usage(f"{number:04}") for number in range(count)]
    async with database.writing() as connection:
        await insert_many(connection, USAGE, rows)
        found = (await connection.execute(select(USAGE).order_by(USAGE.c.key))).mappings().all()
    assert [dict(row) for row in found] == rows


async def test_rows_that_are_there_already_are_passed_over(database):
    first, second = [usage(f"{number}") for number in range(9)], usage("3") | {"prompt": 7}
    async with database.writing() as connection:
        await insert_many(connection, USAGE, first)
        await insert_many(connection, USAGE, [second, usage("new")])
        found = (await connection.execute(select(USAGE.c.key, USAGE.c.prompt))).all()
    assert sorted(found) == [*((f"{number}", 0) for number in range(9)), ("new", 0)]


@given(count=st.integers(0, 2_000), most=st.integers(1, 2_000))
def test_steps_hold_every_row_once_and_never_too_many(count, most):
    steps = list(statements._steps(range(count), most))
    assert [row for step in steps for row in step] == list(range(count))
    assert all(len(step) <= most and len(step) in statements._STEPS for step in steps)


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
            found = [vars(row) for row in await all_rows(connection, table)]
            assert found == [dict(row) for row in read]
            assert found
            assert [*map(type, found[-1].values())] == [*map(type, read[-1].values())]


async def test_an_empty_table_has_no_rows(database):
    async with database.reading() as connection:
        assert await all_rows(connection, LICENSES) == []
