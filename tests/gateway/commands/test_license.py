"""`license`: the whole life of a license, from a plain folder."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from gateway.commands import main
from gateway.database.engine import Database
from gateway.exchange import License, Limits
from gateway.licenses.book import Book
from gateway.licenses.store import LicenseStore


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)

    def run(*words, status=0):
        result = CliRunner().invoke(main, ["license", *words])
        assert result.exit_code == status, result.output
        return result.output

    return run


def as_json(text):
    return json.loads(text)


def test_a_license_is_made_shown_changed_rotated_and_revoked(run):
    made = as_json(
        run("create", "--id", "bob", "--models", "gemini-2.5-*", "--expires", "2030-01-01",
            "--timezone", "Asia/Shanghai", "--requests-per-minute", "5", "--json")
    )  # fmt: skip
    assert made["key"].startswith("gw-bob-")
    shown = as_json(run("show", "bob", "--json"))
    assert shown["expires"] == "2030-01-01T00:00:00+08:00" or shown["expires"].startswith(
        "2029-12-31T16:00:00"
    )
    assert (shown["models"], shown["requests_per_minute"]) == (["gemini-2.5-*"], 5)
    changed = as_json(
        run("update", "bob", "--clear", "requests_per_minute", "--owner", "Bob", "--json")
    )
    assert (changed["requests_per_minute"], changed["owner"]) == (None, "Bob")
    assert changed["models"] == ["gemini-2.5-*"]
    rotated = as_json(run("rotate", "bob", "--overlap", "24h", "--json"))
    assert rotated["key"] != made["key"]
    assert [key["expires"] is None for key in as_json(run("show", "bob", "--json"))["keys"]] in (
        [False, True],
        [True, False],
    )
    assert as_json(run("revoke", "bob", "--json"))["disabled"] is True
    assert as_json(run("update", "bob", "--enabled", "--json"))["disabled"] is False


def test_an_update_leaves_alone_what_somebody_else_changed_meanwhile(run, monkeypatch):
    run("create", "--id", "bob")
    kept = LicenseStore.kept

    async def revoked_meanwhile(store, ids=()):
        found = await kept(store, ids)
        monkeypatch.setattr(LicenseStore, "kept", kept)
        await store.update(License("bob", disabled=True))
        return found

    monkeypatch.setattr(LicenseStore, "kept", revoked_meanwhile)
    run("update", "bob", "--note", "x")
    assert as_json(run("show", "bob", "--json"))["disabled"] is True
    assert "requests_per_day: " in run("update", "bob", "--requests-per-day", "0", status=1)


def test_what_is_wrong_with_a_license_stops_no_revocation(run):
    run("create", "--id", "bob")

    async def spoil():
        database = Database("sqlite+aiosqlite:///gateway.db")
        await LicenseStore(database).update(License("bob", limits=Limits(usd_per_day=1e300)))
        await database.close()

    asyncio.run(spoil())
    assert "usd_per_day: " in run("update", "bob", "--note", "x", status=1)
    assert as_json(run("revoke", "bob", "--json"))["disabled"] is True


def test_the_key_is_shown_once_only(run):
    key = as_json(run("create", "--id", "bob", "--json"))["key"]
    for words in (["list"], ["show", "bob"], ["list", "--json"], ["export"]):
        assert key not in run(*words)
        assert "bob" in run(*words)


def test_any_text_can_be_chosen_as_a_key_and_only_once(run):
    run("create", "--id", "a", "--key", "Bearer 任意")
    assert "has that key" in run("create", "--id", "b", "--key", "任意", status=1)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["create", "--id", "a b"], "id: 'a b'"),
        (["create", "--requests-per-minute", "0"], "requests_per_minute: expected `int` >= 1"),
        (["create", "--usd-per-day", "x"], "usd_per_day: "),
        (["create", "--usd-per-day", "inf"], "usd_per_day: "),
        (["create", "--expires", "9999-12-31T23:59:59-05:00"], "expires: is too far away"),
        (["create", "--networks", "1.2.3.4/99"], "networks: '1.2.3.4/99'"),
        (["create", "--timezone", "Mars"], "timezone: 'Mars'"),
        (["create", "--expires", "soon"], "expires: 'soon'"),
        (["show", "ghost"], "no license 'ghost'"),
        (["update", "ghost", "--note", "x"], "no license 'ghost'"),
        (["rotate", "ghost"], "no license 'ghost'"),
        (["revoke", "ghost"], "no license 'ghost'"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_name(run, words, complaint):
    assert complaint in run(*words, status=1)


def test_an_overlap_that_is_no_length_is_refused(run):
    run("create", "--id", "a")
    assert "no length of time" in run("rotate", "a", "--overlap", "soon", status=2)
    assert "over a hundred years" in run("rotate", "a", "--overlap", "999999w", status=2)


def test_the_id_of_a_fixed_license_is_taken(run, tmp_path):
    (tmp_path / "config.toml").write_text('[[licenses]]\nid = "alice"\nkey = "k"\n')
    assert "config.toml has a license 'alice'" in run("create", "--id", "alice", status=1)


def test_an_import_tells_what_became_of_each_row(run, tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text("name,key,status\nteam,abc123,1\nteam,def456,2\nbad,ab***yz,1\n")
    report = as_json(run("import", str(file), "--json"))
    assert [line["result"] for line in report] == ["added", "added", "invalid"]
    assert [line["license"] for line in report] == ["team", "team-f456", ""]
    again = run("import", str(file))
    assert "0 added, 2 duplicate, 1 invalid" in again
    assert "masked" in again
    listed = {one["id"]: one["disabled"] for one in as_json(run("list", "--json"))}
    assert listed == {"team": False, "team-f456": True}


@pytest.fixture
def filled(run):
    """Fill the database with licenses that use every field; give their keys."""
    every = {
        "owner": "=1+1", "note": 'a, "b";\r\nc\n 任意 ', "models": "gemini-[23],*", "networks": "::1",
        "requests-per-minute": "5", "tokens-per-minute": "6", "requests-per-day": "7",
        "concurrent-requests": "8", "tokens-per-day": "9", "tokens-per-month": "10",
        "usd-per-day": "0.1", "usd-per-month": "1e-07", "timezone": "Asia/Shanghai",
        "expires": "2031-01-01T07:30",
    }  # fmt: skip
    words = [word for name, value in every.items() for word in (f"--{name}", value)]
    keys = [as_json(run("create", "--id", "full", *words, "--json"))["key"]]
    keys.append(as_json(run("rotate", "full", "--overlap", "24h", "--json"))["key"])
    keys.append(as_json(run("create", "--id", "bare", "--json"))["key"])
    run("create", "--id", "007", "--key", "任意", "--networks", "1.2.3.0/24", "--networks", "::/0")
    run("revoke", "007")
    return keys


@pytest.mark.parametrize("form", [[], ["--csv"]])
def test_an_export_is_imported_elsewhere_without_a_loss(run, filled, tmp_path, monkeypatch, form):
    file = tmp_path / "licenses"
    before = run("export", "--with-pepper", *form)
    file.write_bytes(before.encode())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    report = as_json(run("import", str(file), "--json"))
    assert [line["result"] for line in report] == ["added"] * 3
    assert run("export", "--with-pepper", *form) == before
    book = Book()

    async def load():
        database = Database("sqlite+aiosqlite:///gateway.db")
        loaded = await LicenseStore(database).load()
        await database.close()
        book.replace_keyed(loaded.pepper, loaded.licenses)

    asyncio.run(load())
    assert [book.find(key).id for key in (*filled, "任意")] == ["full", "full", "bare", "007"]
    again = as_json(run("import", str(file), "--json"))
    assert {line["result"] for line in again} == {"duplicate"}


def test_digests_of_another_pepper_are_no_licenses_here(run, filled, tmp_path, monkeypatch):
    plain, with_pepper = tmp_path / "plain", tmp_path / "with-pepper"
    plain.write_text(run("export"))
    with_pepper.write_text(run("export", "--with-pepper"))
    assert '"pepper"' not in plain.read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    report = as_json(run("import", str(plain), "--json"))
    assert {(line["result"], line["why"]) for line in report} == {
        ("invalid", "its keys were made with another pepper")
    }
    run("create", "--id", "first")
    assert "3 invalid" in run("import", str(with_pepper)), "the pepper in use stays"
    assert [one["id"] for one in as_json(run("list", "--json"))] == ["first"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "a b"}, "id: "),
        ({"keys": []}, "keys: there are none"),
        ({"keys": "x"}, "keys: is no list in JSON"),
        ({"keys": {}}, "keys: there are none"),
        ({"keys": [{"digest": "ab"}]}, "keys: a digest is no SHA-256"),
        ({"keys": [{"digest": "a" * 64, "created": "x"}]}, "keys: 'x' is no moment"),
        ({"created": None}, "created: "),
        ({"created": 10**30}, "created: "),
        ({"created": 2**40 - 1}, "created: "),
        ({"pepper_check": 5}, "pepper_check: is missing"),
        ({"requests_per_day": -1}, "requests_per_day: "),
        ({"unheard_of": 1}, "license: object contains unknown field"),
    ],
)
def test_a_row_of_an_export_that_was_spoilt_is_invalid_and_says_why(run, tmp_path, changes, why):
    run("create", "--id", "a")
    [row] = as_json(run("export"))
    file = tmp_path / "spoilt"
    file.write_text(json.dumps([row | {"id": "b"} | changes, row]))
    bad, same = as_json(run("import", str(file), "--json"))
    assert (bad["result"], same["result"]) == ("invalid", "duplicate")
    assert bad["why"].startswith(why)


def test_a_license_whose_id_or_key_is_here_already_is_a_duplicate(run, tmp_path):
    run("create", "--id", "a")
    [row] = as_json(run("export"))
    (tmp_path / "config.toml").write_text('[[licenses]]\nid = "alice"\nkey = "k"\n')
    other = row["keys"][0] | {"digest": "0" * 64}
    rows = [
        row,
        row | {"id": "same-key"},
        row | {"id": "alice"},
        row | {"id": "b", "keys": [other]},
    ]
    file = tmp_path / "rows"
    file.write_text(json.dumps(rows))
    report = as_json(run("import", str(file), "--json"))
    assert [line["result"] for line in report] == ["duplicate"] * 3 + ["added"]
    assert report[1]["why"] == "another license has that key already"
    assert [one["id"] for one in as_json(run("list", "--json"))] == ["a", "b"]


def test_a_file_that_is_no_export_is_refused(run, tmp_path):
    file = tmp_path / "x"
    file.write_text("hello")
    assert "neither JSON nor CSV" in run("import", str(file), status=1)


def test_a_database_that_cannot_be_reached_is_one_line(run, tmp_path):
    url = f'url = "sqlite+aiosqlite:///{tmp_path}/no/x.db"'
    (tmp_path / "config.toml").write_text(f"[database]\n{url}\n")
    assert run("list", status=1).startswith("Error: the database: OperationalError")


def test_an_update_that_says_nothing_or_two_things_is_refused(run):
    run("create", "--id", "bob")
    assert "Nothing to change is given." in run("update", "bob", status=2)
    said = run("update", "bob", "--clear", "owner", "--owner", "Bob", status=2)
    assert "owner is both cleared and given." in said


def test_a_list_of_models_that_covers_none_is_refused(run):
    """As a variable of a script is that was not set."""
    assert "models: an empty text covers no model" in run("create", "--models", "", status=1)


def test_a_file_in_another_charset_is_told_how_to_be_saved(run, tmp_path):
    (tmp_path / "tokens.csv").write_bytes("name,key\n张三,sk-a\n".encode("gbk"))
    said = run("import", "tokens.csv", status=1)
    assert said == "Error: tokens.csv: is not UTF-8 text; save it as that\n"


def test_no_name_of_a_file_says_anything_to_the_terminal(run, tmp_path):
    rows = [{"name": "\x1b[2J张三\n", "key": "sk-a"}]
    (tmp_path / "tokens.json").write_text(json.dumps(rows))
    said = run("import", "tokens.json")
    assert "\x1b" not in said
    assert "\\x1b[2J张三\\n" in said
    assert len(said.splitlines()) == 3
