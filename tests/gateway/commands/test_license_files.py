"""`license import` and `license export`."""

import asyncio
import json

import pytest

from gateway.database.engine import Database
from gateway.licenses.book import Book
from gateway.licenses.store import LicenseStore


def as_json(text):
    return json.loads(text)


def test_an_import_tells_what_became_of_each_row(run_license, tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text("name,key,status\nteam,abc123,1\nteam,def456,2\nbad,ab***yz,1\n")
    report = as_json(run_license("import", str(file), "--json"))
    assert [line["result"] for line in report] == ["added", "added", "invalid"]
    assert [line["license"] for line in report] == ["team", "team-f456", ""]
    again = run_license("import", str(file))
    assert "0 added, 2 duplicate, 1 invalid" in again
    assert "masked" in again
    listed = {one["id"]: one["disabled"] for one in as_json(run_license("list", "--json"))}
    assert listed == {"team": False, "team-f456": True}


@pytest.fixture
def filled(run_license):
    """Fill the database with licenses that use every field; give their keys."""
    every = {
        "owner": "=1+1", "note": 'a, "b";\r\nc\n 任意 ', "models": "gemini-[23],*", "networks": "::1",
        "requests-per-minute": "5", "tokens-per-minute": "6", "requests-per-day": "7",
        "concurrent-requests": "8", "tokens-per-day": "9", "tokens-per-month": "10",
        "usd-per-day": "0.1", "usd-per-month": "1e-07", "timezone": "Asia/Shanghai",
        "expires": "2031-01-01T07:30",
    }  # fmt: skip
    words = [word for name, value in every.items() for word in (f"--{name}", value)]
    keys = [as_json(run_license("create", "--id", "full", *words, "--json"))["key"]]
    keys.append(as_json(run_license("rotate", "full", "--overlap", "24h", "--json"))["key"])
    keys.append(as_json(run_license("create", "--id", "bare", "--json"))["key"])
    run_license(
        "create", "--id", "007", "--key", "任意", "--networks", "1.2.3.0/24", "--networks", "::/0"
    )
    run_license("revoke", "007")
    return keys


@pytest.mark.parametrize("form", [[], ["--csv"]])
def test_an_export_is_imported_elsewhere_without_a_loss(
    run_license, filled, tmp_path, monkeypatch, form
):
    file = tmp_path / "licenses"
    before = run_license("export", "--with-pepper", *form)
    file.write_bytes(before.encode())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    report = as_json(run_license("import", str(file), "--json"))
    assert [line["result"] for line in report] == ["added"] * 3
    assert run_license("export", "--with-pepper", *form) == before
    book = Book()

    async def load():
        database = Database("sqlite+aiosqlite:///gateway.db")
        loaded = await LicenseStore(database).load()
        await database.close()
        book.replace_keyed(loaded.pepper, loaded.licenses)

    asyncio.run(load())
    assert [book.find(key).id for key in (*filled, "任意")] == ["full", "full", "bare", "007"]
    again = as_json(run_license("import", str(file), "--json"))
    assert {line["result"] for line in again} == {"duplicate"}


def test_digests_of_another_pepper_are_no_licenses_here(run_license, filled, tmp_path, monkeypatch):
    plain, with_pepper = tmp_path / "plain", tmp_path / "with-pepper"
    plain.write_text(run_license("export"))
    with_pepper.write_text(run_license("export", "--with-pepper"))
    assert '"pepper"' not in plain.read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    report = as_json(run_license("import", str(plain), "--json"))
    assert {(line["result"], line["why"]) for line in report} == {
        ("invalid", "its keys were made with another pepper")
    }
    run_license("create", "--id", "first")
    assert "3 invalid" in run_license("import", str(with_pepper)), "the pepper in use stays"
    assert [one["id"] for one in as_json(run_license("list", "--json"))] == ["first"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "a b"}, "id: "),
        ({"keys": []}, "keys: there are none"),
        ({"keys": "x"}, "keys: is not a list in JSON"),
        ({"keys": {}}, "keys: there are none"),
        ({"keys": [{"digest": "ab"}]}, "keys: a digest is not a SHA-256"),
        ({"keys": [{"digest": "a" * 64, "created": "x"}]}, "keys: 'x' is not a time"),
        ({"created": None}, "created: "),
        ({"created": 10**30}, "created: "),
        ({"created": 2**40 - 1}, "created: "),
        ({"pepper_check": 5}, "pepper_check: is missing"),
        ({"requests_per_day": -1}, "requests_per_day: "),
        ({"unheard_of": 1}, "license: object contains unknown field"),
    ],
)
def test_a_row_of_an_export_that_was_spoilt_is_invalid_and_says_why(
    run_license, tmp_path, changes, why
):
    run_license("create", "--id", "a")
    [row] = as_json(run_license("export"))
    file = tmp_path / "spoilt"
    file.write_text(json.dumps([row | {"id": "b"} | changes, row]))
    bad, same = as_json(run_license("import", str(file), "--json"))
    assert (bad["result"], same["result"]) == ("invalid", "duplicate")
    assert bad["why"].startswith(why)


def test_a_license_whose_id_or_key_is_here_already_is_a_duplicate(run_license, tmp_path):
    run_license("create", "--id", "a")
    [row] = as_json(run_license("export"))
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
    report = as_json(run_license("import", str(file), "--json"))
    assert [line["result"] for line in report] == ["duplicate"] * 3 + ["added"]
    assert report[1]["why"] == "another license has that key already"
    assert [one["id"] for one in as_json(run_license("list", "--json"))] == ["a", "b"]


def test_a_file_that_is_no_export_is_refused(run_license, tmp_path):
    file = tmp_path / "x"
    file.write_text("hello")
    assert "neither JSON nor CSV" in run_license("import", str(file), status=1)


def test_a_file_in_another_charset_is_told_how_to_be_saved(run_license, tmp_path):
    (tmp_path / "tokens.csv").write_bytes("name,key\n张三,sk-a\n".encode("gbk"))
    output = run_license("import", "tokens.csv", status=1)
    assert output == "Error: tokens.csv: is not UTF-8 text; save it as UTF-8\n"


def test_no_name_of_a_file_says_anything_to_the_terminal(run_license, tmp_path):
    rows = [{"name": "\x1b[2J张三\n", "key": "sk-a"}]
    (tmp_path / "tokens.json").write_text(json.dumps(rows))
    output = run_license("import", "tokens.json")
    assert "\x1b" not in output
    assert "\\x1b[2J张三\\n" in output
    assert len(output.splitlines()) == 3
