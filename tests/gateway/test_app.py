"""The app as a whole: what is wired to what."""

import asyncio

import pytest
import structlog
from yarl import URL

from gateway.app import build_app
from gateway.exchange import Usage
from gateway.keys import PRICES, RELOADERS, UPSTREAM
from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal
from tests.running import LICENSE, SECRET, settings_for


async def test_a_reload_takes_over_licenses_credentials_and_models(running):
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        changed = settings_for(
            upstream.url,
            keys=("key-2",),
            licenses=[{"id": "new", "key": "new-license"}],
            models={"aliases": {"fast": "gemini-2.5-pro"}, "tiers": {"flex": 0.25}},
        )
        for reload in gateway.app[RELOADERS]:
            await reload(changed)
        assert (await gateway.whole())[0] == 401
        costs = [
            gateway.app[PRICES].cost("gemini-2.5-pro", Usage(prompt=1_000, tier=tier))
            for tier in ("standard", "flex")
        ]
        assert costs[1] == costs[0] / 4
        headers = {"Authorization": "new-license"}
        body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
        url = f"{gateway.url}/v1/chat/completions"
        async with gateway.session.post(url, json=body, headers=headers) as response:
            assert response.status == 200
        assert upstream.keys == ["key-2"]
        assert "models/gemini-2.5-pro:" in upstream.seen[0].path


async def test_it_is_not_ready_without_a_usable_credential(running):
    async with (
        ScriptedUpstream(refusal(401, "UNAUTHENTICATED")) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        await gateway.whole()
        root = gateway.url.removesuffix("/gemini")
        async with gateway.session.get(f"{root}/readyz") as response:
            assert response.status == 503
            assert "credential" in str(await response.json())


async def test_no_license_key_and_no_upstream_key_is_in_any_answer(running, capfd):
    async with (
        ScriptedUpstream(
            refusal(403, "PERMISSION_DENIED", f"Consumer 'api_key:{SECRET}key-1'")
        ) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for streaming in (True, False):
            async with gateway.post(stream=streaming) as response:
                told = await response.text() + str(response.headers)
                assert SECRET not in told
                assert LICENSE not in told
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err


async def test_how_each_credential_fares_is_told_in_the_log_and_by_readyz(running):
    """One line when a credential goes out or rests and one when it is back, never with its key."""
    minute = [{"@type": "a.RetryInfo", "retryDelay": "30s"}]
    busy = refusal(429, "RESOURCE_EXHAUSTED", "slow down", minute)
    async with (
        ScriptedUpstream(refusal(401, "UNAUTHENTICATED"), busy, answer(200, LAST)) as upstream,
        running(settings_for(upstream.url, keys=("key-1", "key-2"))) as gateway,
    ):
        with structlog.testing.capture_logs() as lines:
            assert (await gateway.whole())[0] == 429
            root = gateway.url.removesuffix("/gemini")
            async with gateway.session.get(f"{root}/readyz") as response:
                one, two = (await response.json())["credentials"]
        told = [line for line in lines if line["event"].startswith("credential_")]
        assert [(line["event"], line["credential"], line["reason"]) for line in told] == [
            ("credential_out", "c1", "key_invalid"),
            ("credential_resting", "c2", "busy"),
        ]
        assert (one["state"], one["reason"]) == ("out", "key_invalid")
        assert (two["state"], list(two["resting"])) == ("ready", ["gemini-2.5-flash"])
        assert SECRET not in str(lines)
        assert "key-2" not in str(lines)


@pytest.mark.parametrize(("workers", "retries"), [(1, 30), (5, 6)])
def test_the_floor_under_retries_is_one_for_all_processes(workers, retries):
    """Three a second for ten seconds, whether one process serves or five."""
    settings = settings_for("http://127.0.0.1:9", server={"workers": workers})
    api = build_app(settings)
    budget = api[UPSTREAM].budget
    assert sum(budget.take() for _ in range(100)) == retries


@pytest.mark.parametrize(
    "target",
    [
        "/gemini/v1/models",
        "//gemini//v1/models/",
        "/v1/models",
        "/%67emini/v1/models",
        "/gemini%2Fv1/models",
        "/gemini/%761/models",
        "/gemini/v1/../v1/models",
        "/healthz/../gemini/v1/models",
        "/./gemini/v1/models",
        "/gemini;a=b/v1/models",
        "/gemini/v1/models?/healthz",
        "/gemini/v1/models#/healthz",
        "http://other/gemini/v1/models",
        "http://other//gemini/v1/models",
        "gemini/v1/models",
        "/GEMINI/v1/models",
        "\\gemini\\v1\\models",
        "*",
    ],
)
async def test_no_spelling_of_an_address_leads_around_the_license(running, target):
    async with running(settings_for("http://127.0.0.1:9")) as gateway:
        port = URL(gateway.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = int((await reader.read()).split()[1])
        writer.close()
        await writer.wait_closed()
        assert status in {400, 401, 404}
