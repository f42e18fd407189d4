import aiohttp
import pytest
from aiohttp import web

from gateway.drain import Drain
from gateway.keys import DRAIN, METRICS
from gateway.network.sockets import StartError, listen
from gateway.records.metrics import Metrics
from gateway.routes import admin
from gateway.settings import Admin


@pytest.fixture
def app():
    app = web.Application()
    app[METRICS], app[DRAIN] = Metrics(), Drain()
    return app


async def test_metrics_are_served_on_a_port_of_their_own(app):
    (sock,) = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    sock.close()
    # The second worker has the next port.
    runner = await admin.start(app, Admin(port=port - 1), worker=2)
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"http://127.0.0.1:{port}/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "gateway_build_info" in await answer.text()
    await runner.cleanup()


async def test_without_a_port_nothing_listens(app):
    runner = await admin.start(app, Admin(), worker=0)
    assert runner.addresses == []
    await runner.cleanup()


async def test_a_taken_port_ends_the_start(app):
    (sock,) = listen("127.0.0.1", 0)
    with sock, pytest.raises(StartError):
        await admin.start(app, Admin(port=sock.getsockname()[1]), worker=0)
