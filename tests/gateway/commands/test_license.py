"""`license`: the whole life of a license, from a plain folder."""

import json

import pytest
from click.testing import CliRunner

from gateway.commands import main


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


def test_a_file_that_is_no_export_is_refused(run, tmp_path):
    file = tmp_path / "x"
    file.write_text("hello")
    assert "neither JSON nor CSV" in run("import", str(file), status=1)


def test_a_database_that_cannot_be_reached_is_one_line(run, tmp_path):
    url = f'url = "sqlite+aiosqlite:///{tmp_path}/no/x.db"'
    (tmp_path / "config.toml").write_text(f"[database]\n{url}\n")
    assert run("list", status=1).startswith("Error: the database: OperationalError")
