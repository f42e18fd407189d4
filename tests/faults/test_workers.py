"""Workers of one machine that are killed: what they held is free, what they counted stays."""

import asyncio
import os
import signal

import aiohttp

from tests.faults.machines import CONFIG, Machine, ask
from tests.faults.scripted import LAST, STALL, ScriptedUpstream, answer
from tests.patience import HANGING_S

LICENSE = "license-of-alice"
LIMITS = """
concurrent_requests = 6
requests_per_day = 20
"""


def respond(seen, _number):
    return [STALL] if "slow" in seen.path else answer(200, LAST)


async def test_slots_of_killed_workers_come_free_and_what_they_counted_stays(tmp_path):
    async with ScriptedUpstream(respond) as upstream, aiohttp.ClientSession() as session:
        database = f"sqlite+aiosqlite:///{tmp_path}/usage.db"
        config = CONFIG.format(upstream=upstream.url, state="embedded://", database=database)
        async with Machine(tmp_path / "one", config + LIMITS, workers=2) as machine:

            async def asked(model="gemini-2.5-flash"):
                return (await ask(session, machine.url, LICENSE, "id", model=model)).status

            for deaths in (2, 4):
                slow = [asyncio.create_task(asked("gemini-slow")) for _ in range(6)]
                arrived = 3 * deaths
                async with asyncio.timeout(HANGING_S):
                    while sum("slow" in seen.path for seen in upstream.seen) < arrived:
                        await asyncio.sleep(0.02)
                assert await asked() == 429
                for line in machine.lines("worker_started")[-2:]:
                    os.kill(line["pid"], signal.SIGKILL)
                await asyncio.gather(*slow, return_exceptions=True)
                await machine.told("worker_started", 2 + deaths)
            # Twelve of the day's twenty are spent on the slow ones.
            told = [await asked() for _ in range(9)]
        assert told == [200] * 8 + [429]
