"""What the holder of a license is told of its usage, through the whole gateway."""

import asyncio
from collections import Counter

import pytest

from gateway.exchange import Usage
from gateway.keys import LEDGER
from gateway.ledger.row import LedgerRow
from gateway.routes import usage
from tests.faults.scripted import ScriptedUpstream, answer
from tests.running import LICENSE, settings_for

REPLY = {
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 1000,
        "candidatesTokenCount": 100,
        "totalTokenCount": 1100,
    },
    "modelVersion": "gemini-2.5-flash",
}
USD = (1000 * 0.30 + 100 * 2.50) / 1_000_000


@pytest.fixture
async def gateway(running):
    licenses = [
        {"id": "alice", "key": LICENSE, "usd_per_month": 20.0, "expires": "2099-01-01T00:00:00Z"},
        {"id": "bob", "key": "bob-key"},
    ]
    async with (
        ScriptedUpstream(answer(200, REPLY)) as upstream,
        running(settings_for(upstream.url, licenses=licenses)) as one,
    ):
        yield one


async def ask(gateway, path, key=LICENSE):
    headers = {"Authorization": key}
    async with gateway.session.get(gateway.url + path, headers=headers) as response:
        return response.status, await response.json()


async def test_what_was_used_is_told_to_who_used_it_and_nobody_else(gateway):
    status, body, _ = await gateway.whole()
    assert (status, body["usage"]["cost"]) == (200, pytest.approx(USD))
    await gateway.app[LEDGER].flush()
    status, usage_body = await ask(gateway, "/v1/usage?since=1d")
    assert (status, usage_body["license"]) == (200, "alice")
    [one] = usage_body["data"]
    assert (one["model"], one["requests"], one["total"]) == ("gemini-2.5-flash", 1, 1100)
    assert one["usd"] == pytest.approx(USD)
    assert (await ask(gateway, "/v1/usage", "bob-key"))[1]["data"] == []
    assert (await ask(gateway, "/v1/usage", "wrong"))[0] == 401


async def test_requests_that_failed_are_counted_too(gateway):
    async with gateway.session.post(
        f"{gateway.url}/v1/chat/completions", data=b"{", headers={"Authorization": LICENSE}
    ) as response:
        assert response.status == 400
    await gateway.app[LEDGER].flush()
    [one] = (await ask(gateway, "/v1/usage"))[1]["data"]
    assert (one["requests"], one["errors"], one["total"]) == (1, 1, 0)


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_chat_clients_are_told_limit_and_usage_in_cents(gateway, prefix):
    await gateway.whole()
    await gateway.app[LEDGER].flush()
    path = f"{prefix}/dashboard/billing/usage?start_date=2020-01-01&end_date=2099-01-01"
    status, body = await ask(gateway, path)
    assert (status, body["total_usage"]) == (200, pytest.approx(USD * 100))
    assert (await ask(gateway, f"{prefix}/dashboard/billing/usage"))[1]["total_usage"] > 0
    _, body = await ask(gateway, f"{prefix}/dashboard/billing/subscription")
    assert (body["hard_limit_usd"], body["access_until"]) == (20.0, 4_070_908_800)
    _, body = await ask(gateway, f"{prefix}/dashboard/billing/subscription", "bob-key")
    assert (body["hard_limit_usd"], body["access_until"]) == (100_000_000.0, 0)


async def test_the_beginning_of_all_time_is_a_day_to_ask_from(gateway):
    old = LedgerRow(0, "id", "alice", None, "m", None, Usage(), 0.5, 1, 200, None, None)
    gateway.app[LEDGER].book(old)
    await gateway.app[LEDGER].flush()
    usage = "/v1/dashboard/billing/usage"
    _, body = await ask(gateway, f"{usage}?start_date=1970-01-01")
    assert body["total_usage"] == pytest.approx(50)
    assert (await ask(gateway, usage))[1]["total_usage"] == 0


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/usage?since=yesterday", "since"),
        ("/v1/usage?since=1y", "since"),
        ("/v1/dashboard/billing/usage?start_date=x", "start_date"),
        ("/v1/dashboard/billing/usage?end_date=2026-13-01", "end_date"),
    ],
)
async def test_a_time_that_is_none_is_a_bad_request(gateway, path, param):
    status, body = await ask(gateway, path)
    assert (status, body["error"]["param"]) == (400, param)


async def test_reports_of_one_license_take_turns(gateway, monkeypatch):
    running, most = Counter(), Counter()

    async def slow_sums(database, selection, *_):
        running[selection.license] += 1
        most[selection.license] = max(most[selection.license], running[selection.license])
        most["all"] = max(most["all"], running.total())
        await asyncio.sleep(0.01)
        running[selection.license] -= 1
        return []

    monkeypatch.setattr(usage, "sums", slow_sums)
    paths = ["/v1/usage", "/v1/dashboard/billing/usage"] * 4
    keys = [LICENSE, "bob-key"]
    answers = await asyncio.gather(*(ask(gateway, path, key) for path in paths for key in keys))
    assert {status for status, _ in answers} == {200}
    assert most == {"alice": 1, "bob": 1, "all": 2}
