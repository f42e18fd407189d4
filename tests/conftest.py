"""What tests of several folders share."""

import asyncio
import gc
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import create_engine

from gateway.app import build_app
from gateway.database import migrating
from gateway.database.engine import Database
from gateway.network.sockets import listen
from gateway.server.connection_server import Runner
from gateway.settings import Settings
from gateway.simulator import Simulator
from gateway.state.embedded import server_binary
from gateway.upstream import files, retry
from tests.databases import Postgres
from tests.discovery import SENT
from tests.faults.scripted import ScriptedUpstream
from tests.patience import HANGING_S
from tests.running import SECRET, Gateway
from tests.tls import client_context, server_context

# LiteLLM would look for prices on the internet as soon as it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the collector from going through thousands of tests again and again, now and later."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


class Valkey:
    """A real Valkey server on a Unix socket of its own, that can be hurt."""

    def __init__(self, folder: Path, **config: str) -> None:
        # Not the library's start and stop: faults need the process itself, and the same socket.
        self.socket = folder / "valkey.sock"
        self._folder = folder
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        options = {"port": "0", "unixsocket": str(self.socket), "save": "", **self._config}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [server_binary(), *words], stdout=subprocess.DEVNULL, cwd=self._folder
        )
        deadline = time.monotonic() + HANGING_S
        while time.monotonic() < deadline:
            try:
                with Redis(unix_socket_path=str(self.socket)) as client:
                    client.ping()
            except (RedisError, OSError):
                time.sleep(0.005)
            else:
                return
        raise AssertionError("Valkey did not start")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def command(self, *words: str) -> Any:
        with Redis(unix_socket_path=str(self.socket)) as client:
            return client.execute_command(*words)


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory) -> Iterator[Valkey]:
    """Run one server for all tests that leave it unharmed."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def valkey(shared_valkey) -> Valkey:
    """Return an empty server, not to be harmed."""
    shared_valkey.command("FLUSHALL")
    return shared_valkey


@pytest.fixture
def own_valkey(tmp_path) -> Iterator[Valkey]:
    """Yield a server of the test's own, to be killed and hung."""
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run one PostgreSQL server for all tests that leave it unharmed."""
    yield from _postgres()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Yield a PostgreSQL server of the test's own, to be stopped."""
    yield from _postgres()


def _postgres() -> Iterator[Postgres]:
    try:
        server = Postgres()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason to skip
        pytest.skip(f"PostgreSQL does not start here: {type(error).__name__}: {error}")
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> str:
    """Return the URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/test.db"
    return request.getfixturevalue("postgres").new_url()


@pytest.fixture
async def database(database_url):
    """Yield an empty database with its tables."""
    database = Database(database_url)
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture(scope="session")
def tables() -> list[str]:
    """Return the statements that the migrations come to on an empty SQLite."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrating._upgrade(connection)
        dump = list(connection.connection.driver_connection.iterdump())
    engine.dispose()
    assert (dump[0], dump[-1]) == ("BEGIN TRANSACTION;", "COMMIT;")
    return dump[1:-1]


@pytest.fixture
def running(tables, monkeypatch):
    """Return a context manager that runs a gateway with given settings.

    Its database gets its tables from `tables`: migrating takes a third of a start.
    """
    upgrade = migrating._upgrade

    def quick_upgrade(connection):
        is_new = connection.dialect.name == "sqlite" and not migrating.revision(connection)
        for statement in tables if is_new else []:
            connection.exec_driver_sql(statement)
        upgrade(connection)

    monkeypatch.setattr(migrating, "_upgrade", quick_upgrade)

    @asynccontextmanager
    async def run(settings: Settings):
        app = build_app(settings)
        runner = Runner(app, settings)
        await runner.setup()
        (sock,) = listen("127.0.0.1", 0)
        await web.SockSite(runner, sock).start()
        port = sock.getsockname()[1]
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                yield Gateway(f"http://127.0.0.1:{port}/gemini", session, app)
        finally:
            await runner.cleanup()
            # Sockets are closed a turn of the loop after they are told to.
            await asyncio.sleep(0.01)

    return run


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Have the gateway wait next to nothing before another attempt and between looks at a file."""
    monkeypatch.setattr(retry, "BASE_S", 0.01)
    monkeypatch.setattr(files, "_POLL_S", (0.01,))


@pytest.fixture
async def simulator():
    """Yield a running simulator of Gemini."""
    async with Simulator() as running_simulator:
        yield running_simulator


@pytest.fixture(scope="session", autouse=True)
def _watched_upstream() -> Iterator[None]:
    """Look at everything that goes upstream in any test."""
    with pytest.MonkeyPatch.context() as patch:
        SENT.watch(patch)
        yield


@pytest.fixture(autouse=True)
def _what_goes_upstream_fits() -> Iterator[None]:
    """Fail the test in which something went upstream that Google's schema does not know."""
    SENT.faults.clear()
    yield
    assert SENT.faults == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Fail every test whose output, whatever wrote it, holds an upstream key."""
    report = yield
    printed = "".join(text for _, text in report.sections)
    if SECRET in printed or SECRET in str(report.longrepr or ""):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: an upstream key was printed"
    return report


@pytest.fixture
def over_tls(monkeypatch) -> None:
    """Have scripted upstreams speak TLS, and gateways of this process trust them."""
    monkeypatch.setattr(ScriptedUpstream, "tls", server_context())
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", client_context())


@pytest.fixture(params=["plain", "tls"])
def with_and_without_tls(request) -> None:
    """Run a test twice: without TLS, as all others are, and with it, as Gemini is reached."""
    if request.param == "tls":
        request.getfixturevalue("over_tls")
