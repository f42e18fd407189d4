"""Which store the settings mean, and what the app gets with it."""

import sys

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.keys import MEMORIES, METRICS, READINESS, REFUSALS, RELOADERS, STATE
from gateway.records.metrics import Metrics
from gateway.settings import ConfigError, LimitPolicy, Settings, State
from gateway.sharing import add_state, make_store
from gateway.state.guarded import GuardedStore
from gateway.state.local_memories import LocalMemories
from gateway.state.memories import SharedMemories
from gateway.state.memory import MemoryStore


def app_of(settings):
    app = web.Application()
    app[READINESS], app[RELOADERS], app[METRICS] = [], [], Metrics()
    add_state(app, settings)
    return app


def test_memory_is_the_default():
    app = app_of(Settings())
    assert isinstance(app[STATE], MemoryStore)
    assert isinstance(app[MEMORIES], LocalMemories)
    assert app[REFUSALS].of("any") == frozenset()


async def test_a_server_is_connected_to_while_the_app_runs(valkey):
    app = app_of(Settings(state=State(url=valkey.url)))
    assert isinstance(app[STATE], GuardedStore)
    assert isinstance(app[MEMORIES], SharedMemories)
    async with TestServer(app):
        assert not app[STATE].degraded
        assert b"gateway_store_up 1.0" in await app[METRICS].render()


@pytest.mark.parametrize(("policy", "reasons"), [("local", 0), ("allow", 0), ("deny", 1)])
async def test_without_its_server_only_deny_is_not_ready(tmp_path, policy, reasons):
    state = State(url=f"unix://{tmp_path}/nobody.sock")
    app = app_of(Settings(state=state, limits=LimitPolicy(on_store_failure=policy)))
    async with TestServer(app):
        complaints = [await check() for check in app[READINESS]]
        assert sum(reason is not None for reason in complaints) == reasons
        metrics = await app[METRICS].render()
        assert b"gateway_store_up 0.0" in metrics
        assert b"gateway_degraded 1.0" in metrics


async def test_a_reload_changes_the_policy(tmp_path):
    state = State(url=f"unix://{tmp_path}/nobody.sock")
    app = app_of(Settings(state=state))
    async with TestServer(app):
        for reloader in app[RELOADERS]:
            await reloader(Settings(state=state, limits=LimitPolicy(on_store_failure="deny")))
        assert await app[STATE].check()


@pytest.mark.parametrize("url", ["nonsense", "http://localhost", "redis://localhost:port"])
def test_an_impossible_address_is_refused_by_name(url):
    with pytest.raises(ConfigError, match=r"^state\.url: "):
        make_store(Settings(state=State(url=url)))


@pytest.mark.parametrize("sign", "/#?[]")
@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec{}ret@host/0",
        "redis://:sec{}ret",
        "redis+cluster://me:sec{}ret@host:7000",
        "redis+sentinel://me:sec{}ret@one:1,two:2/service",
        "redis+sentinel://one:1/service?sentinel_password=re&sec{}",
    ],
)
def test_a_password_that_is_not_escaped_is_not_quoted(url, sign):
    with pytest.raises(ConfigError, match="%2F") as caught:
        make_store(Settings(state=State(url=url.format(sign))))
    assert "sec" not in str(caught.value)


def test_a_missing_extra_is_named(monkeypatch):
    for name in ("address", "client", "guarded", "valkey"):
        monkeypatch.delitem(sys.modules, f"gateway.state.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigError, match=r"gateway\[redis\]"):
        make_store(Settings(state=State(url="redis://localhost")))
