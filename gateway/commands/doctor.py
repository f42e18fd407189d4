"""`doctor`: checks everything that a start depends on, and reports what is wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple
from urllib.request import getproxies

import aiohttp
import click
from rich.table import Table
from rich.text import Text

from gateway.commands import config_option
from gateway.commands.output import print_table, printable
from gateway.commands.serve import checked
from gateway.log import secrets_of
from gateway.log.redaction import Secrets
from gateway.network.sockets import StartError, listen
from gateway.process.machine import check_machine
from gateway.settings import ConfigError, Credential, Settings, Upstream
from gateway.state.calendar import Calendar
from gateway.state.embedded import is_embedded
from gateway.state.rules import Demand, Plan

TIMEOUT_S = 10.0
# For the next rows of usage.
ROOM_BYTES = 1 << 20
CREDENTIAL_REFUSED = {400, 401, 403}
_EVICTS = (
    "answers; when its memory is full it deletes counts and usage: set maxmemory-policy noeviction"
)
_NO_PROXY = "; the proxy in the environment is not used, only the one in upstream.proxy"


class Finding(NamedTuple):
    """The result of one check: its subject, whether that is well, and a remark."""

    subject: str
    well: bool
    remark: str


@click.command()
@config_option
def doctor(path: Path | None) -> None:
    """Check configuration, port, state server, database, and each Gemini key."""
    try:
        check_machine()
        settings = checked(path)
    except (ConfigError, StartError) as error:
        findings = [Finding("configuration", well=False, remark=str(error))]
    else:
        findings = [Finding("configuration", well=True, remark="read and checked")]
        findings += asyncio.run(_examine(settings))
    _show(findings)
    raise SystemExit(0 if all(finding.well for finding in findings) else 1)


async def _examine(settings: Settings) -> list[Finding]:
    secrets = Secrets()
    secrets.know(secrets_of(settings))
    ports = [(settings.server.host, settings.server.port)]
    if settings.admin.port:
        ports.append((settings.admin.host, settings.admin.port))
    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        (f"port {port}", partial(_port, host, port)) for host, port in ports
    ]
    checks += [
        ("state", lambda: _state(settings)),
        ("database", lambda: _database(settings)),
        ("spill", lambda: _spill(settings)),
    ]
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    proxy = settings.upstream.proxy or None
    async with aiohttp.ClientSession(timeout=timeout, proxy=proxy) as session:
        for credential in settings.upstream.credentials:
            check = _CredentialCheck(session, settings.upstream, credential)
            checks.append((f"credential {credential.name}", check))
        return list(await asyncio.gather(*(_finding(*check, secrets) for check in checks)))


async def _finding(subject: str, check: Callable[[], Awaitable[str]], secrets: Secrets) -> Finding:
    """Return the finding of *check*; a library's message may hold a password."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return Finding(subject, well=True, remark=await check())
    except TimeoutError:
        return Finding(subject, well=False, remark=f"no answer within {TIMEOUT_S:g} seconds")
    except Exception as error:  # noqa: BLE001 - any library's any error is a finding
        lines = str(error).strip().splitlines() or [type(error).__name__]
        remark = secrets.redact(lines[0].encode()).decode(errors="replace")
        return Finding(subject, well=False, remark=remark[:300])


async def _port(host: str, port: int) -> str:
    for sock in listen(host, port):
        sock.close()
    return "free"


async def _state(settings: Settings) -> str:
    url = settings.state.url
    if url.startswith("memory:") or is_embedded(url):
        return f"{url} (nothing to check: the gateway keeps it itself)"
    from gateway.state.valkey import ValkeyStore

    store = ValkeyStore(url, settings.state.namespace, timeout_s=TIMEOUT_S)
    try:
        await store.probe()
        # An empty take, which shows that the server runs scripts.
        await store.take(Plan("doctor", (), Calendar("UTC")), Demand())
        may_evict = await store.may_evict()
    finally:
        await store.close()
    return _EVICTS if may_evict else "answers"


async def _database(settings: Settings) -> str:
    """Check that the database can be written to, and that its licenses use this pepper."""
    from sqlalchemy import false, make_url, select, text, update

    from gateway.database.engine import Database
    from gateway.database.migrating import HEAD, revision
    from gateway.database.tables import FACTS
    from gateway.licenses.pepper import agreed_pepper

    database = Database(settings.database.url)
    try:
        # Nothing is changed, but a database that can only be read refuses the attempt.
        async with database.writing() as connection:
            await connection.execute(text("SELECT 1"))
            is_newer = (await connection.run_sync(revision) or HEAD) > HEAD
            if await connection.run_sync(lambda it: it.dialect.has_table(it, FACTS.name)):
                await connection.execute(update(FACTS).where(false()).values(value=""))
                of_pepper = select(FACTS).where(FACTS.c.name.startswith("pepper"))
                rows = await connection.execute(of_pepper)
                if facts := {row.name: row.value for row in rows}:
                    agreed_pepper(facts, settings.database.pepper)
    finally:
        await database.close()
    file = make_url(settings.database.url).database if database.is_sqlite else None
    if file and file != ":memory:":
        _require_room(Path(file).parent)
    return "answers; its tables are those of a newer version" if is_newer else "answers"


async def _spill(settings: Settings) -> str:
    _require_room(Path(settings.database.spill))
    return "can be written to"


def _require_room(folder: Path) -> None:
    """Raise `StartError` unless there is room in *folder*, or where it would be created."""
    while not folder.exists():
        folder = folder.parent
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM_BYTES))
    except OSError as error:
        raise StartError(f"cannot write to {folder.absolute()}: {error.strerror}") from None


class _CredentialCheck:
    """Asks Gemini for its models with one key."""

    def __init__(
        self, session: aiohttp.ClientSession, upstream: Upstream, credential: Credential
    ) -> None:
        self._session = session
        self._url = f"{upstream.base_url.rstrip('/')}/v1beta/models"
        # Other programs of this machine may go through one.
        is_missed = not upstream.proxy and not getproxies().keys().isdisjoint({"https", "all"})
        self._hint = _NO_PROXY if is_missed else ""
        self._key = credential.key or ""

    async def __call__(self) -> str:
        try:
            return await self._ask()
        except aiohttp.ClientConnectionError as error:
            raise StartError(f"{error}{self._hint}") from None

    async def _ask(self) -> str:
        async with self._session.get(
            self._url,
            params={"pageSize": "1000"},
            headers={"x-goog-api-key": self._key},
            allow_redirects=False,
        ) as response:
            if response.status in CREDENTIAL_REFUSED:
                raise StartError(f"Gemini refuses this key (status {response.status})")
            if response.status != 200:
                raise StartError(f"Gemini answered with status {response.status}")
            models = (await response.json(content_type=None)).get("models", [])
            return f"accepted, {len(models)} models"


def _show(findings: list[Finding]) -> None:
    table = Table(show_header=False, box=None)
    for finding in findings:
        mark = "[green]ok[/]" if finding.well else "[red]failed[/]"
        # As they stand: a name in brackets is no markup.
        table.add_row(Text(finding.subject), mark, Text(printable(finding.remark)))
    print_table(table)
