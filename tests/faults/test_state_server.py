"""Several gateway processes on one state server: exact together, alive without it."""

import asyncio
import os
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal
from tests.patience import HANGING_S

ROOT = Path(__file__).parents[2]
LICENSE = "license-of-alice"
CONFIG = """
[server]
port = 0
workers = {workers}
[upstream]
base_url = "{upstream}"
[[upstream.credentials]]
name = "main"
key = "main-key"
[[upstream.credentials]]
name = "spare"
key = "spare-key"
[[licenses]]
id = "alice"
key = "license-of-alice"
{limits}
[state]
url = "{state}"
timeout_s = {timeout_s}
[log]
format = "json"
"""
CHAT = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}


@asynccontextmanager
async def gateway(folder, **options):
    """Run one machine's gateway; gives its address once all its workers listen."""
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG.format(**options))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve"),
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(HANGING_S):
            started = await line_of(process, "started")
            for _ in range(options["workers"] if options["workers"] > 1 else 0):
                await line_of(process, "worker_started")
        yield started["listen"][0], process
    finally:
        process.terminate()
        await process.communicate()


async def line_of(process, event):
    async for raw in process.stderr:
        line = orjson.loads(raw)
        if line["event"] == event:
            return line
    raise AssertionError(f"the gateway ended before {event}")


async def ask(session, url, **more):
    headers = {"Authorization": LICENSE}
    began = time.monotonic()
    chat = f"{url}/v1/chat/completions"
    async with session.post(chat, json=CHAT | more, headers=headers) as response:
        await response.read()
        return response.status, time.monotonic() - began, response.headers


async def test_four_processes_on_two_machines_admit_exactly_the_limit(valkey, tmp_path):
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        options = {"workers": 2, "upstream": upstream.url, "state": valkey.url, "timeout_s": 10}
        options["limits"] = "requests_per_day = 20"
        async with (
            gateway(tmp_path / "one", **options) as (first, _),
            gateway(tmp_path / "two", **options) as (second, _),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            answers = await asyncio.gather(
                *(ask(session, url) for _ in range(100) for url in (first, second))
            )
        assert Counter(status for status, _, _ in answers) == {200: 20, 429: 180}
        assert len(upstream.seen) == 20


async def test_processes_overshoot_a_quota_of_tokens_by_what_is_unsettled_at_most(valkey, tmp_path):
    """Each request may bring 40 tokens and uses 5; it is refused once a token is not left."""
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        options = {"workers": 2, "upstream": upstream.url, "state": valkey.url, "timeout_s": 10}
        options["limits"] = "tokens_per_day = 200"
        async with (
            gateway(tmp_path / "one", **options) as (first, _),
            gateway(tmp_path / "two", **options) as (second, _),
            aiohttp.ClientSession() as session,
        ):
            limited = []

            async def served(url) -> bool:
                status, _, _ = await ask(session, url, max_tokens=40)
                limited.extend([url] if status == 200 else [])
                return status == 200

            async def client(url):
                while await served(url):
                    pass

            assert await served(first)
            assert await served(second)

            await asyncio.gather(*(client(url) for _ in range(4) for url in (first, second)))
            # They gave up while others still held reservations, so that tokens may be left.
            refusals = 0
            while refusals < 5:
                refusals = 0 if await served(first) else refusals + 1
                await asyncio.sleep(0.05)
        used = 5 * len(limited)
        assert 200 <= used <= 200 + 5 * 8
        assert len(upstream.seen) == len(limited)


async def test_workers_of_one_machine_share_a_private_server(tmp_path):
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        options = {"workers": 2, "upstream": upstream.url, "state": "embedded://", "timeout_s": 10}
        options["limits"] = "requests_per_day = 10"
        async with (
            gateway(tmp_path / "one", **options) as (url, _),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            answers = await asyncio.gather(*(ask(session, url) for _ in range(60)))
        assert Counter(status for status, _, _ in answers) == {200: 10, 429: 50}


DAY = [{"@type": "a.QuotaFailure", "violations": [{"quotaId": "RequestsPerDay"}]}]


@pytest.mark.parametrize(
    ("script", "fares"),
    [
        (refusal(403, "PERMISSION_DENIED", "Consumer has been suspended"), "key_dead"),
        (refusal(429, "RESOURCE_EXHAUSTED", "x", DAY), "resting"),
    ],
    ids=["out", "resting"],
)
async def test_what_one_process_learns_of_a_key_keeps_the_others_from_it(
    valkey, tmp_path, script, fares
):
    def by_key(seen, _number):
        return script if seen.key == "main-key" else answer(200, LAST)

    async with ScriptedUpstream(by_key) as upstream, aiohttp.ClientSession() as session:
        options = {"workers": 1, "upstream": upstream.url, "state": valkey.url, "timeout_s": 10}
        options["limits"] = ""
        async with (
            gateway(tmp_path / "one", **options) as (first, _),
            gateway(tmp_path / "two", **options) as (second, _),
        ):
            while "main-key" not in upstream.keys:
                assert (await ask(session, first))[0] == 200
            await until_it_fares(session, second, fares)
            # One that starts only now must know it from its first request on.
            async with gateway(tmp_path / "three", **options) as (third, _):
                upstream.seen.clear()
                for url in (second, third) * 5:
                    assert (await ask(session, url))[0] == 200
        assert upstream.keys == ["spare-key"] * 10


async def test_a_machine_whose_address_google_refuses_takes_no_key_from_the_others(
    valkey, tmp_path
):
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo"}
    info["reason"] = "API_KEY_IP_ADDRESS_BLOCKED"
    refused = refusal(403, "PERMISSION_DENIED", "The address violates a restriction.", [info])
    async with (
        ScriptedUpstream(refused) as from_there,
        ScriptedUpstream(answer(200, LAST)) as from_here,
        aiohttp.ClientSession() as session,
    ):
        options = {"workers": 1, "state": valkey.url, "timeout_s": 10, "limits": ""}
        async with gateway(tmp_path / "one", upstream=from_there.url, **options) as (there, _):
            assert (await ask(session, there))[0] == 503
            await until_it_fares(session, there, "key_dead")
        # What machines publish, it would know from its first request on.
        async with gateway(tmp_path / "two", upstream=from_here.url, **options) as (here, _):
            assert (await ask(session, here))[0] == 200


async def until_it_fares(session, url: str, fares: str) -> None:
    """Wait until the gateway at *url* says that the main credential *fares* so."""
    async with asyncio.timeout(HANGING_S):
        while True:
            async with session.get(f"{url.removesuffix('/gemini')}/readyz") as response:
                main = (await response.json())["credentials"][0]
            if fares in {main["reason"], "resting" if main["resting"] else None}:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("fault", ["kill", "hang"])
async def test_without_its_state_server_the_gateway_goes_on_and_comes_back(
    own_valkey, tmp_path, fault
):
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        options = {
            "workers": 1,
            "upstream": upstream.url,
            "state": own_valkey.url,
            "timeout_s": 0.25,
        }
        options["limits"] = "requests_per_day = 1_000"
        async with (
            gateway(tmp_path / "one", **options) as (url, process),
            aiohttp.ClientSession() as session,
        ):
            status, _, headers = await ask(session, url)
            assert (status, headers.get("x-gateway-degraded")) == (200, None)
            getattr(own_valkey, fault)()
            answers = [await ask(session, url) for _ in range(20)]
            assert {status for status, _, _ in answers} == {200}
            assert answers[-1][2]["x-gateway-degraded"] == "limits"
            # 250 ms are configured, for the first three; the rest is a busy machine.
            assert sum(seconds for _, seconds, _ in answers) < 5
            own_valkey.start() if fault == "kill" else own_valkey.resume()
            async with asyncio.timeout(HANGING_S):
                assert (await line_of(process, "state_server_down"))["policy"] == "local"
                await line_of(process, "state_server_back")
            _, _, headers = await ask(session, url)
            assert "x-gateway-degraded" not in headers
            # All are counted, although rows of the last second had not been written by themselves.
            assert headers["x-ratelimit-remaining-requests"] == str(1_000 - 22)
