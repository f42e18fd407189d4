import re
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from sqlalchemy import make_url, text

from gateway.commands import doctor as doctor_module
from gateway.commands.doctor import Finding, _examine, _show, doctor
from gateway.database.engine import Database as Tables
from gateway.exchange import License
from gateway.licenses.store import LicenseStore
from gateway.network.sockets import listen
from gateway.settings import Admin, Credential, Database, Server, Settings, State, Upstream
from tests.gateway.commands.test_serve import WRONG
from tests.gateway.state.servers import Server as StateServer
from tests.gateway.state.servers import sentinel
from tests.gateway.upstream.test_proxy import Proxy

KEY = "a-key-that-is-not-told"


@pytest.fixture
async def gemini():
    """Stand in for upstream: knows one good key."""

    async def models(request: web.Request) -> web.Response:
        if request.headers["x-goog-api-key"] != "good":
            return web.json_response({"error": {"message": f"bad key {KEY}"}}, status=400)
        return web.json_response({"models": [{}, {}]})

    app = web.Application()
    app.router.add_get("/v1beta/models", models)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


def settings_of(base_url: str, tmp_path: Path, **changed) -> Settings:
    defaults = {
        "server": Server(port=0),
        "database": Database(url=f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"),
        "upstream": Upstream(
            base_url=base_url,
            credentials=(Credential(name="a", key="good"), Credential(name="b", key=KEY)),
        ),
    }
    return Settings(**{**defaults, **changed})


async def test_each_credential_is_asked_for(gemini, tmp_path):
    findings = await _examine(settings_of(gemini, tmp_path))
    remarks = {finding.subject: (finding.well, finding.remark) for finding in findings}
    assert remarks == {
        "port 0": (True, "free"),
        "state": (True, "memory:// (nothing to check: the gateway keeps it itself)"),
        "database": (True, "answers"),
        "spill": (True, "can be written to"),
        "credential a": (True, "accepted, 2 models"),
        "credential b": (False, "Gemini refuses this key (status 400)"),
    }


async def test_what_is_not_there_is_found_and_no_password_is_told(tmp_path):
    (sock,) = listen("127.0.0.1", 0)
    with sock:
        settings = settings_of(
            "http://127.0.0.1:1",
            tmp_path,
            server=Server(port=sock.getsockname()[1]),
            state=State(url=f"redis://:{KEY}@127.0.0.1:1"),
            database=Database(url=f"sqlite+aiosqlite:////none/{KEY}.db", spill=f"{__file__}/spill"),
        )
        findings = await _examine(settings)
    assert [finding.well for finding in findings] == [False] * 6
    assert KEY not in "".join(
        finding.remark for finding in findings if finding.subject != "database"
    )


async def test_a_proxy_is_gone_through_and_a_missing_one_is_hinted_at(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    refusal = b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n"
    async with Proxy(0, refusal) as proxy:
        for url, remark in (
            (f"http://127.0.0.1:{proxy.port}", "Who are you?"),
            ("", "environment"),
        ):
            upstream = Upstream(
                base_url="https://127.0.0.1:1",
                proxy=url,
                credentials=(Credential(name="a", key="good"),),
            )
            findings = await _examine(settings_of("", tmp_path, upstream=upstream))
            assert not findings[-1].well
            assert remark in findings[-1].remark
        assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "There is no Gemini key"),
        ("[x]", "unknown option"),
        *WRONG,
    ],
)
def test_a_wrong_configuration_is_a_finding(tmp_path, monkeypatch, text, complaint):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    path = tmp_path / "a.toml"
    path.write_text(text)
    result = CliRunner().invoke(doctor, ["--config", str(path)])
    assert result.exit_code == 1
    assert "failed" in result.output
    assert complaint in result.output
    assert sys.flags.optimize == 0


async def test_a_state_server_that_deletes_keys_is_told(gemini, tmp_path):
    server = StateServer(tmp_path / "full", "--save", "", "--maxmemory", "100mb")
    url = f"redis://127.0.0.1:{server.port}"
    try:
        for policy, remark in [("noeviction", "answers"), ("volatile-lru", doctor_module._EVICTS)]:
            server.command("CONFIG", "SET", "maxmemory-policy", policy)
            findings = await _examine(settings_of(gemini, tmp_path, state=State(url=url)))
            [found] = [finding for finding in findings if finding.subject == "state"]
            assert (found.well, found.remark) == (True, remark)
    finally:
        server.kill()


async def test_a_state_server_is_asked_however_it_is_reached(gemini, tmp_path):
    master = StateServer(tmp_path / "master", "--save", "")
    watcher = sentinel(tmp_path / "sentinel", master)
    users = ["ACL", "SETUSER", "poor", "on", "nopass", "~*", "+@all", "-@scripting"]
    master.command(*users)
    urls = {
        f"redis://127.0.0.1:{master.port}": (True, "answers"),
        f"redis+sentinel://127.0.0.1:{watcher.port}/orders": (True, "answers"),
        f"redis+sentinel://127.0.0.1:{watcher.port}/other": (False, "No master found for 'other'"),
        f"redis://poor:x@127.0.0.1:{master.port}": (False, "no permissions"),
    }
    try:
        for url, (well, remark) in urls.items():
            findings = await _examine(settings_of(gemini, tmp_path, state=State(url=url)))
            [found] = [finding for finding in findings if finding.subject == "state"]
            assert found.well is well, found
            assert remark in found.remark
    finally:
        watcher.kill()
        master.kill()


@pytest.mark.parametrize("made_with", ["", "right"])
@pytest.mark.parametrize("given", ["", "right", "wrong"])
async def test_a_pepper_that_the_licenses_were_not_made_with_is_found(
    gemini, tmp_path, database_url, made_with, given
):
    database = Tables(database_url)
    await database.migrate()
    store = LicenseStore(database, made_with)
    await store.create(License("alice"), "key-of-alice")
    await database.close()
    settings = settings_of(gemini, tmp_path, database=Database(url=database_url, pepper=given))
    [found] = [one for one in await _examine(settings) if one.subject == "database"]
    assert found.well is (given == made_with), found
    if not found.well:
        assert found.remark.startswith("database.pepper: the licenses were made with")


async def test_a_database_that_nobody_has_used_yet_is_well_with_any_pepper(
    gemini, tmp_path, database_url
):
    settings = settings_of(gemini, tmp_path, database=Database(url=database_url, pepper="any"))
    [found] = [one for one in await _examine(settings) if one.subject == "database"]
    assert (found.well, found.remark) == (True, "answers")


async def test_a_database_of_a_newer_version_is_told(gemini, tmp_path, database_url):
    database = Tables(database_url)
    await database.migrate()
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    settings = settings_of(gemini, tmp_path, database=Database(url=database_url))
    [found] = [one for one in await _examine(settings) if one.subject == "database"]
    assert (found.well, found.remark) == (True, "answers; its tables are those of a newer version")


async def test_a_database_that_can_only_be_read_is_found(gemini, tmp_path, database_url):
    database = Tables(database_url)
    await database.migrate()
    url = database_url
    if database.is_sqlite:
        url = f"sqlite+aiosqlite:///file:{make_url(url).database}?mode=ro&uri=true"
    else:
        async with database.writing() as connection:
            name = make_url(url).database
            read_only = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
            await connection.execute(text(read_only))
    await database.close()
    settings = settings_of(gemini, tmp_path, database=Database(url=url))
    [found] = [one for one in await _examine(settings) if one.subject == "database"]
    assert not found.well
    assert re.search("read-?only", found.remark)


async def test_a_folder_without_room_is_found(gemini, tmp_path, monkeypatch):
    # The folder of spilled usage would be made here.
    monkeypatch.chdir(tmp_path)

    def file_without_room(**_):
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(doctor_module, "TemporaryFile", file_without_room)
    findings = await _examine(settings_of(gemini, tmp_path))
    remarks = {one.subject: one.remark for one in findings if not one.well}
    assert remarks["database"] == f"cannot write to {tmp_path}: No space left on device"
    assert remarks["spill"] == f"cannot write to {tmp_path}: No space left on device"


async def test_the_port_of_the_numbers_is_looked_at_too(gemini, tmp_path):
    (sock,) = listen("127.0.0.1", 0)
    with sock:
        port = sock.getsockname()[1]
        findings = await _examine(settings_of(gemini, tmp_path, admin=Admin(port=port)))
    (found,) = [one for one in findings if one.subject == f"port {port}"]
    assert not found.well
    assert "Address already in use" in found.remark


def test_what_looks_like_markup_is_shown_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = '[[upstream.credentials]]\nname = "a"\nkey_file = "[/b]"'
    (tmp_path / "config.toml").write_text(text)
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 1
    assert "key_file: [/b] cannot be read: No such file or directory" in result.output


def test_what_a_server_answers_does_not_command_the_terminal(capsys):
    _show([Finding("state", well=False, remark="ResponseError: \x1b]0;title\x07\x1b[2J no")])
    assert "\\x1b]0;title\\x07\\x1b[2J no" in capsys.readouterr().out
