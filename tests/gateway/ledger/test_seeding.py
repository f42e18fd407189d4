"""Quotas outlive the process: what the ledger holds is counted again after a start."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.database.engine import Database
from gateway.database.statements import insert_many, insert_new
from gateway.database.tables import USAGE
from gateway.exchange import License, Limits, Usage
from gateway.ledger.row import LedgerRow, to_row
from gateway.ledger.seeding import QuotaSeeder
from gateway.state.memory import MemoryStore

NOW = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
LIMITS = Limits(
    requests_per_minute=5,
    requests_per_day=100,
    tokens_per_day=1000,
    tokens_per_month=10_000,
    usd_per_month=2.0,
)
ALICE = License("alice", limits=LIMITS, timezone="Asia/Shanghai")
BOB = License("bob", limits=Limits(requests_per_day=5), timezone="Asia/Shanghai")


class Store(MemoryStore):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(wall=lambda: self.wall)
        self.wall = NOW
        self.seeded = {}

    async def seed(self, plan, spent):
        self.seeded[plan.license_id] = spent
        await super().seed(plan, spent)


def booked(number: int, moment: str, license_: str = "alice", **changes) -> dict:
    at = int(datetime.fromisoformat(moment).timestamp() * 1000)
    usage = Usage(prompt=10, completion=5, total=15)
    row = LedgerRow(at, "id", license_, "m", "m", "main", usage, 0.5, 9, 200, None, None)
    return to_row(str(number), row._replace(**changes))


@pytest.fixture
async def filled(database):
    rows = [
        booked(1, "2026-11-20T00:00:00+08:00"),
        booked(2, "2026-11-19T23:59:59+08:00"),
        booked(3, "2026-10-31T23:59:59+08:00"),
        booked(4, "2026-11-20T01:00:00+08:00", license_="bob"),
    ]
    async with database.writing() as connection:
        await connection.execute(insert_new(connection, USAGE), rows)
    return database


async def test_days_and_months_begin_where_the_ledger_says(filled):
    store = Store()
    licenses = [ALICE, License("free"), License("bob", limits=Limits(requests_per_minute=1))]
    await QuotaSeeder(filled, lambda: licenses, store)()
    assert store.seeded == {
        "alice": {
            "requests_per_day": 1,
            "tokens_per_day": 15,
            "tokens_per_month": 30,
            "usd_per_month": 1_000_000_000,
        }
    }


async def test_when_midnight_passes_meanwhile_the_new_day_begins_with_its_own_use(filled):
    store = Store()
    midnight = datetime.fromisoformat("2026-11-20T00:00:00+08:00").timestamp()
    moments = iter((midnight - 1, midnight + 1))
    store.now = lambda: next(moments, midnight + 1)
    await QuotaSeeder(filled, lambda: [ALICE], store)()
    assert store.seeded["alice"]["tokens_per_day"] == 15
    assert store.seeded["alice"]["tokens_per_month"] == 30


async def test_what_limits_refused_is_not_counted_but_what_upstream_did(filled):
    nothing = {"usage": Usage(), "cost": None, "status": 429}
    rows = [
        booked(11, "2026-11-20T01:00:00+08:00", credential=None, **nothing),
        booked(12, "2026-11-20T02:00:00+08:00", **nothing),
    ]
    async with filled.writing() as connection:
        await connection.execute(insert_new(connection, USAGE), rows)
    store = Store()
    await QuotaSeeder(filled, lambda: [ALICE], store)()
    assert store.seeded["alice"]["requests_per_day"] == 2


async def test_a_database_that_is_down_stops_nobody(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/x.db")
    store = Store()
    seeder = QuotaSeeder(database, lambda: [ALICE], store)
    await seeder()
    assert store.seeded == {}
    await seeder.close()
    await database.close()


async def seeded(seeder, store, wanted):
    async with asyncio.timeout(10):
        while store.seeded != wanted:
            await asyncio.sleep(0.01)
    await seeder.close()


async def test_a_database_that_comes_later_is_asked_then(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/later/x.db")
    store = Store()
    seeder = QuotaSeeder(database, lambda: [BOB], store)
    seeder.retry_s = 0.01
    await seeder()
    # It comes with its rows: between its tables and those the seeder would find nothing used.
    (tmp_path / "made").mkdir()
    made = Database(f"sqlite+aiosqlite:///{tmp_path}/made/x.db")
    await made.migrate()
    await insert_many(made, USAGE, [booked(1, "2026-11-20T00:00:00+08:00", "bob")])
    await made.close()
    (tmp_path / "made").rename(tmp_path / "later")
    await seeded(seeder, store, {"bob": {"requests_per_day": 1}})
    await database.close()


async def test_licenses_that_become_known_later_are_seeded_then(filled):
    store, licenses = Store(), []
    seeder = QuotaSeeder(filled, lambda: licenses, store)
    seeder.retry_s, seeder.knows_all = 0.01, lambda: bool(licenses)
    await seeder()
    await asyncio.sleep(0.05)
    assert store.seeded == {}
    licenses.append(BOB)
    await seeded(seeder, store, {"bob": {"requests_per_day": 1}})


async def test_when_the_rows_that_wait_are_written_it_is_seeded_again(filled):
    store, tries = Store(), []

    async def prepare():
        tries.append(dict(store.seeded))
        if len(tries) < 3:
            return False
        await insert_many(filled, USAGE, [booked(9, "2026-11-20T05:00:00+08:00", "bob")])
        return True

    seeder = QuotaSeeder(filled, lambda: [BOB], store)
    seeder.retry_s, seeder.prepare = 0.01, prepare
    await seeder()
    await seeded(seeder, store, {"bob": {"requests_per_day": 2}})
    # What is known is told at once.
    assert tries == [{}, *[{"bob": {"requests_per_day": 1}}] * 2]
