"""`usage`: sums for people and for programs."""

import asyncio
import json
import time

import pytest
from click.testing import CliRunner

from gateway.commands import main
from gateway.database.engine import Database
from gateway.exchange import Usage
from gateway.ledger.ledger import Ledger
from gateway.ledger.row import LedgerRow
from gateway.ledger.spill import Spill


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words, status=0):
        result = CliRunner().invoke(main, ["usage", *words])
        assert result.exit_code == status, result.output
        return result.output

    return run


async def book(folder):
    database = Database(f"sqlite+aiosqlite:///{folder}/gateway.db")
    await database.migrate()
    ledger = Ledger(database, Spill(folder / "spill", "me"))
    day_ms = 86_400_000
    for license_, days_ago in (("alice", 0), ("alice", 1), ("bob", 30)):
        at = int(time.time() * 1000) - days_ago * day_ms
        used = Usage(10, 5, 15)
        row = LedgerRow(at, "id", license_, "m", "m", "main", used, 0.5, 9, 200, "stop", None)
        ledger.book(row)
    await ledger.flush()
    await database.close()


def test_usage_is_told_by_license_model_and_day(run, tmp_path):
    asyncio.run(book(tmp_path))
    found = json.loads(run("--json"))
    assert [(one["license"], one["model"], one["requests"]) for one in found] == [
        ("alice", "m", 1),
        ("alice", "m", 1),
    ]
    [alice, bob] = json.loads(run("--since", "60d", "--by", "license", "--json"))
    assert (alice["license"], alice["usd"], bob["license"]) == ("alice", 1.0, "bob")
    [bob] = json.loads(run("--since", "60d", "--license", "bob", "--by", "license", "--json"))
    assert bob["total"] == 15
    assert "alice" in run()


def test_an_empty_folder_has_no_usage(run):
    assert json.loads(run("--json")) == []


@pytest.mark.parametrize("words", [["--since", "soon"], ["--timezone", "Mars"], ["--by", "x"]])
def test_options_that_mean_nothing_are_refused(run, words):
    run(*words, status=2)


def test_what_nobody_used_takes_no_room_in_the_table(run, tmp_path):
    asyncio.run(book(tmp_path))
    assert "audio_input" not in run()
    assert json.loads(run("--json"))[0]["audio_input"] == 0
