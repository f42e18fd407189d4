"""Licenses and ledger in a running gateway: outages, kills, and what other processes change."""

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson
import pytest
from sqlalchemy import func, select

from gateway.database.engine import Database
from gateway.database.statements import insert_many
from gateway.database.tables import USAGE
from gateway.exchange import License, Limits, Usage
from gateway.keys import LEDGER
from gateway.ledger.row import LedgerRow, to_row
from gateway.licenses.store import LicenseStore
from tests.faults.scripted import ScriptedUpstream, answer
from tests.patience import HANGING_S
from tests.running import settings_for

ROOT = Path(__file__).parents[2]
REPLY = {
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1, "totalTokenCount": 11},
}
PAYLOAD = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def upstream():
    async with ScriptedUpstream(answer(200, REPLY)) as one:
        yield one


async def booked(url):
    database = Database(url)
    async with database.reading() as connection:
        found = await connection.scalar(select(func.count()).select_from(USAGE))
    await database.close()
    return found


async def reaches(count, wanted, within_s=15.0):
    """Wait until *count* gives *wanted*."""
    async with asyncio.timeout(within_s):
        while await count() != wanted:
            await asyncio.sleep(0.05)


async def test_while_postgresql_is_down_no_request_fails_and_no_row_is_lost_or_doubled(
    own_postgres, upstream, running, tmp_path
):
    url = own_postgres.new_url()
    database = {"url": url, "spill": str(tmp_path / "spill")}
    async with running(settings_for(upstream.url, database=database)) as gateway:
        statuses = []
        for step in (lambda: None, own_postgres.stop, own_postgres.start):
            await asyncio.to_thread(step)
            statuses += [(await gateway.whole())[0] for _ in range(10)]
            await gateway.app[LEDGER].flush()
        assert statuses == [200] * 30
        await reaches(lambda: booked(url), 30)
    assert await booked(url) == 30


async def test_a_gateway_that_starts_before_its_database_serves_fixed_licenses(
    upstream, running, tmp_path
):
    url = f"sqlite+aiosqlite:///{tmp_path}/later/x.db"
    database = {"url": url, "spill": str(tmp_path / "spill")}
    async with running(settings_for(upstream.url, database=database)) as gateway:
        assert (await gateway.whole())[0] == 200
        ready = gateway.url.replace("/gemini", "/readyz")
        async with gateway.session.get(ready) as response:
            reasons = (await response.json())["reasons"]
        assert reasons == ["the licenses cannot be read from the database"]
        await gateway.app[LEDGER].flush()
        (tmp_path / "later").mkdir()
        await reaches(lambda: _status(gateway.session, ready), 200)
        await gateway.app[LEDGER].flush()
        await reaches(lambda: booked(url), 1)


@pytest.mark.parametrize("late", [False, True])
async def test_quotas_begin_where_the_ledger_and_what_waits_on_disk_say(
    upstream, running, tmp_path, late
):
    folder = tmp_path / "database"
    folder.mkdir()
    url = f"sqlite+aiosqlite:///{folder}/x.db"
    store = Database(url)
    await store.migrate()
    limits = Limits(requests_per_day=20)
    await LicenseStore(store).create(License("bob", limits=limits), "bob-key")
    now = int(time.time() * 1000)
    row = LedgerRow(now, "i", "bob", "m", "m", "c", Usage(), None, 1, 200, None, None)
    rows = [to_row(str(number), row) for number in range(10)]
    await insert_many(store, USAGE, rows[:5])
    await store.close()
    (tmp_path / "spill").mkdir()
    spilled = b"".join(orjson.dumps(row) + b"\n" for row in rows[5:])
    (tmp_path / "spill" / "dead-1.jsonl").write_bytes(spilled)
    if late:
        folder.rename(tmp_path / "away")
    settings = settings_for(upstream.url, database={"url": url, "spill": str(tmp_path / "spill")})
    async with running(settings) as gateway:
        if late:
            (tmp_path / "away").rename(folder)

        async def left():
            async with gateway.session.get(
                f"{gateway.url}/v1/models", headers={"Authorization": "bob-key"}
            ) as response:
                return int(response.headers.get("x-ratelimit-remaining-requests", -1))

        # Each asking is counted, too.
        for _ in range(8):
            if (found := await left()) in range(10):
                break
            assert late
            await asyncio.sleep(1)
    assert 0 < found < 10


async def test_a_revoked_license_is_refused_by_every_machine_within_five_seconds(
    postgres, upstream, running
):
    url = postgres.new_url()
    store = Database(url)
    await store.migrate()
    licenses = LicenseStore(store)
    await licenses.create(License("carol"), "license-of-carol")
    settings = settings_for(upstream.url, database={"url": url})
    async with running(settings) as one, running(settings) as two:

        async def statuses():
            found = []
            for gateway in (one, two):
                headers = {"Authorization": "license-of-carol"}
                async with gateway.session.get(
                    f"{gateway.url}/v1/usage", headers=headers
                ) as response:
                    found.append(response.status)
            return found

        assert await statuses() == [200, 200]
        await licenses.change("carol", lambda old: replace(old, disabled=True))
        async with asyncio.timeout(5):
            while await statuses() != [403, 403]:
                await asyncio.sleep(0.05)
    await store.close()


async def test_a_license_that_cannot_be_judged_any_more_gets_503_with_the_reason(
    own_postgres, upstream, running
):
    url = own_postgres.new_url()
    store = Database(url)
    await store.migrate()
    await LicenseStore(store).create(License("carol"), "license-of-carol")
    await store.close()
    settings = settings_for(
        upstream.url, database={"url": url}, limits={"license_max_stale_s": 0.5}
    )
    async with running(settings) as gateway:

        async def asked(key):
            body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
            headers = {"Authorization": key}
            url = f"{gateway.url}/v1/chat/completions"
            async with gateway.session.post(url, json=body, headers=headers) as response:
                return response, await response.json()

        assert (await asked("license-of-carol"))[0].status == 200
        await asyncio.to_thread(own_postgres.stop)
        async with asyncio.timeout(HANGING_S):
            while (found := await asked("license-of-carol"))[0].status == 200:
                await asyncio.sleep(0.05)
        response, body = found
        assert response.status == 503
        assert response.headers["retry-after"] == "5"
        assert "database" in body["error"]["message"]
        assert (await asked("unknown"))[0].status == 401
        assert (await gateway.whole())[0] == 200, "a fixed license needs no database"
        await asyncio.to_thread(own_postgres.start)
        async with asyncio.timeout(HANGING_S):
            while (await asked("license-of-carol"))[0].status != 200:
                await asyncio.sleep(0.05)


async def _status(session, url):
    async with session.get(url) as response:
        return response.status


class Process:
    """A gateway as a process of its own, in a folder of its own."""

    def __init__(self, process, url, folder, session):
        self.process = process
        self.url = url
        self.database = f"sqlite+aiosqlite:///{folder}/gateway.db"
        self.folder = folder
        self.session = session

    async def ask(self, key):
        headers = {"Authorization": key}
        async with self.session.post(
            f"{self.url}/v1/chat/completions", json=PAYLOAD, headers=headers
        ) as response:
            return response.status

    async def command(self, *words):
        """Run a command beside the gateway; give what it printed as JSON."""
        process = await _spawn(self.folder, *words, "--json")
        out, _ = await process.communicate()
        assert process.returncode == 0
        return orjson.loads(out)


async def _spawn(folder, *words):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
async def started(upstream, tmp_path):
    @asynccontextmanager
    async def start():
        (tmp_path / "config.toml").write_text(
            f'[server]\nport = 0\n[upstream]\nbase_url = "{upstream.url}"\n'
            '[[upstream.credentials]]\nname = "main"\nkey = "k"\n'
            '[[licenses]]\nid = "alice"\nkey = "alice-key"\n[log]\nformat = "json"\n'
        )
        process = await _spawn(tmp_path, "serve")
        line = orjson.loads(await asyncio.wait_for(process.stderr.readline(), HANGING_S))
        try:
            async with aiohttp.ClientSession() as session:
                yield Process(process, line["listen"][0], tmp_path, session)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return start


async def test_sigterm_loses_no_row(started):
    async with started() as gateway:
        assert [await gateway.ask("alice-key") for _ in range(20)] == [200] * 20
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.process.communicate()
        assert gateway.process.returncode == 0
        assert await booked(gateway.database) == 20


async def test_sigkill_loses_nothing_older_than_the_interval(started):
    async with started() as gateway:
        assert [await gateway.ask("alice-key") for _ in range(20)] == [200] * 20
        await reaches(lambda: booked(gateway.database), 20)
        await gateway.ask("alice-key")
        gateway.process.kill()
        await gateway.process.communicate()
        assert await booked(gateway.database) in {20, 21}


async def test_commands_work_beside_a_running_gateway_and_are_obeyed_within_seconds(started):
    async with started() as gateway:
        key = (await gateway.command("license", "create", "--id", "bob"))["key"]
        await reaches(lambda: gateway.ask(key), 200, within_s=5)
        await gateway.command("license", "revoke", "bob")
        await reaches(lambda: gateway.ask(key), 403, within_s=5)
        await reaches(lambda: _requests(gateway), True)


async def _requests(gateway):
    found = await gateway.command("usage", "--license", "bob", "--by", "license")
    return bool(found) and found[0]["license"] == "bob" and found[0]["requests"] >= 1
