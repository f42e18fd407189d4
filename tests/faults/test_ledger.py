"""The ledger of several machines, on a real Valkey and a real PostgreSQL that are hurt."""

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager

import aiohttp
import pytest
from redis import Redis
from sqlalchemy import select, text

from gateway.database.engine import Database
from gateway.database.tables import USAGE
from gateway.exchange import License
from gateway.licenses.store import LicenseStore
from tests.faults import machines
from tests.faults.machines import Load, Machine, ask
from tests.faults.scripted import LAST, STALL, ScriptedUpstream, answer

CONFIG = (
    machines.CONFIG
    + """
[[licenses]]
id = "bob"
key = "license-of-bob"
concurrent_requests = 2
"""
)
# A row waits a second in memory; the rest is a busy machine.
LOST_AT_MOST_S = 1.0
BUSY_S = 1.0


def respond(seen, _number):
    return [STALL] if "slow" in seen.path else answer(200, LAST)


async def booked(database) -> Counter:
    async with database.reading() as connection:
        return Counter((await connection.execute(select(USAGE.c.id))).scalars())


async def booked_more_than(database, rows) -> bool:
    return len(await booked(database)) > rows


@asynccontextmanager
async def locked(database):
    """Let every writer of usage wait."""
    async with database.writing() as connection:
        await connection.execute(text("LOCK TABLE usage IN ACCESS EXCLUSIVE MODE"))
        yield


async def within(seconds, condition):
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


async def test_killing_one_of_two_machines_loses_a_second_at_most_and_frees_its_slots(
    valkey, postgres, tmp_path
):
    url = postgres.new_url()
    database = Database(url)
    async with ScriptedUpstream(respond) as upstream:
        config = CONFIG.format(upstream=upstream.url, state=valkey.url, database=url)
        async with (
            Machine(tmp_path / "one", config, workers=2) as one,
            Machine(tmp_path / "two", config, workers=2) as two,
            aiohttp.ClientSession() as session,
        ):
            load = Load([one.url, two.url], "license-of-alice")

            async def bob(machine, id_, model):
                return await ask(session, machine.url, "license-of-bob", id_, model=model)

            slow = [asyncio.ensure_future(bob(one, f"slow-{n}", "gemini-slow")) for n in range(2)]
            async with load.running():

                async def slots_are_held():
                    return sum("slow" in seen.path for seen in upstream.seen) == 2

                await within(20, slots_are_held)
                assert (await bob(two, "third", "gemini-2.5-flash")).status == 429

                async def each_node_holds_entries():
                    return holders(valkey) == 4

                await within(20, lambda: booked_more_than(database, 200))
                # What a node has taken from the stream it now holds, and cannot write.
                async with locked(database):
                    await within(10, each_node_holds_entries)
                    killed_at = time.monotonic()
                    await one.kill()
                await asyncio.gather(*slow, return_exceptions=True)
                load.urls.remove(one.url)

                async def freed():
                    return (await bob(two, f"again-{time.monotonic()}", "x")).status == 200

                await within(30, freed)
            answered = [asked for asked in load.asked if asked.status == 200]
            assert len(answered) == len(load.asked), load.asked
            kept = {a.id for a in answered if a.url == two.url}
            before = killed_at - LOST_AT_MOST_S - BUSY_S
            old = {a.id for a in answered if a.url == one.url and a.at < before}
            assert min(len(kept), len(old)) > 20

            async def all_there():
                return (kept | old) <= set(await booked(database))

            await within(30, all_there)
            assert set((await booked(database)).values()) == {1}
        assert valkey.command("XLEN", "gateway:ledger") == 0
    await database.close()


def holders(valkey):
    """Count the consumers that took entries which are not written."""
    with Redis(unix_socket_path=str(valkey.socket)) as client:
        return len(client.xpending("gateway:ledger", "writers")["consumers"])


@pytest.mark.parametrize("way", ["stream", "spill"])
async def test_an_outage_of_postgresql_fails_no_request_and_loses_no_row(
    own_postgres, valkey, tmp_path, way
):
    url = own_postgres.new_url()
    database = Database(url)
    await database.migrate()
    await LicenseStore(database).create(License("carol"), "license-of-carol")
    async with ScriptedUpstream(respond) as upstream:
        state, workers = (valkey.url, 2) if way == "stream" else ("memory://", 1)
        config = CONFIG.format(upstream=upstream.url, state=state, database=url)
        async with (
            Machine(tmp_path / "one", config, workers) as one,
            Machine(tmp_path / "two", config, workers) as two,
        ):
            load = Load([one.url, two.url], "license-of-carol")
            async with load.running():
                await asyncio.sleep(1.5)
                await asyncio.to_thread(own_postgres.stop)
                before = len(load.asked)
                await asyncio.sleep(4)
                during = len(load.asked) - before
                await asyncio.to_thread(own_postgres.start)
                await asyncio.sleep(1.5)
            assert {asked.status for asked in load.asked} == {200}
            assert not load.broken
            assert during > 50
            ids = {asked.id for asked in load.asked}

            async def all_there():
                return ids <= set(await booked(database))

            await within(30, all_there)
            rows = await booked(database)
            assert set(rows) == ids
            assert set(rows.values()) == {1}
    await database.close()


async def test_workers_with_a_private_state_server_write_their_rows_themselves(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/usage.db"
    async with ScriptedUpstream(respond) as upstream:
        config = CONFIG.format(upstream=upstream.url, state="embedded://", database=url)
        async with Machine(tmp_path / "one", config, workers=2) as one:
            load = Load([one.url], "license-of-alice")
            async with load.running():
                await asyncio.sleep(2.5)
        assert {asked.status for asked in load.asked} == {200}
        assert not one.lines("ledger_spill_failed")
    database = Database(url)
    rows = await booked(database)
    assert set(rows) == {asked.id for asked in load.asked}
    assert set(rows.values()) == {1}
    await database.close()
