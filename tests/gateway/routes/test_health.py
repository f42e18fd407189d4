import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.drain import Drain
from gateway.keys import CREDENTIALS, DRAIN, READINESS
from gateway.routes import health


async def good() -> None:
    return None


async def bad() -> str:
    return "no usable upstream credential"


async def stuck() -> None:
    await asyncio.sleep(3600)


@pytest.fixture
async def client():
    app = web.Application()
    app[DRAIN], app[READINESS] = Drain(), []
    app[CREDENTIALS] = lambda: [{"name": "main", "state": "out"}]
    app.router.add_routes(health.routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def status_and_body(client, path):
    async with client.get(path) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


async def test_a_gateway_whose_checks_are_good_is_ready(client):
    client.app[READINESS].append(good)
    assert await status_and_body(client, "/readyz") == (
        200,
        {"status": "ok", "credentials": [{"name": "main", "state": "out"}]},
    )


async def test_every_reason_against_serving_is_told(client, monkeypatch):
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.05)
    client.app[READINESS].extend([good, bad, stuck])
    client.app[DRAIN].begin()
    status, body = await status_and_body(client, "/readyz")
    assert status == 503
    assert body["reasons"] == [
        "draining",
        "no usable upstream credential",
        "a check did not answer in time",
    ]


async def test_a_gateway_that_cannot_serve_is_still_alive(client):
    client.app[READINESS].append(bad)
    assert await status_and_body(client, "/healthz") == (200, {"status": "ok"})


async def test_load_balancers_may_ask_with_head(client):
    async with client.head("/readyz") as response:
        assert response.status == 200
