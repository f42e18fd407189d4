"""`license`: the whole life of a license, from a plain folder."""

import asyncio
import json
import re
from dataclasses import replace

import pytest

from gateway.database.engine import Database
from gateway.exchange import Limits
from gateway.licenses.store import LicenseStore


def as_json(text):
    return json.loads(text)


def test_a_license_is_made_shown_changed_rotated_and_revoked(run_license):
    created = as_json(
        run_license("create", "--id", "bob", "--models", "gemini-2.5-*", "--expires", "2030-01-01",
            "--timezone", "Asia/Shanghai", "--requests-per-minute", "5", "--json")
    )  # fmt: skip
    assert created["key"].startswith("gw-bob-")
    shown = as_json(run_license("show", "bob", "--json"))
    assert shown["expires"] == "2029-12-31T16:00:00+00:00"
    assert (shown["models"], shown["requests_per_minute"]) == (["gemini-2.5-*"], 5)
    changed = as_json(
        run_license("update", "bob", "--clear", "requests_per_minute", "--owner", "Bob", "--json")
    )
    assert (changed["requests_per_minute"], changed["owner"]) == (None, "Bob")
    assert changed["models"] == ["gemini-2.5-*"]
    rotated = as_json(run_license("rotate", "bob", "--overlap", "24h", "--json"))
    assert rotated["key"] != created["key"]
    keys = as_json(run_license("show", "bob", "--json"))["keys"]
    assert sorted(key["expires"] is None for key in keys) == [False, True]
    assert as_json(run_license("revoke", "bob", "--json"))["disabled"] is True
    assert as_json(run_license("update", "bob", "--enabled", "--json"))["disabled"] is False


def test_what_people_are_shown_of_keys_are_their_days(run_license):
    run_license("create", "--id", "bob")
    digest = as_json(run_license("show", "bob", "--json"))["keys"][0]["digest"]
    run_license("rotate", "bob", "--overlap", "24h")
    shown = run_license("show", "bob")
    assert digest not in shown
    assert re.search(r"^ *created +\d{4}-\d\d-\d\d \S+\+00:00 *$", shown, re.MULTILINE)
    assert re.findall(r"^ *key +of \S+ \S+, (valid(?: until)?)", shown, re.MULTILINE) == [
        "valid until",
        "valid",
    ]


def test_an_update_leaves_alone_what_somebody_else_changed_meanwhile(run_license, monkeypatch):
    run_license("create", "--id", "bob")
    stored = LicenseStore.stored

    async def revoked_meanwhile(store, ids=()):
        found = await stored(store, ids)
        monkeypatch.setattr(LicenseStore, "stored", stored)
        await store.change("bob", lambda old: replace(old, disabled=True))
        return found

    monkeypatch.setattr(LicenseStore, "stored", revoked_meanwhile)
    run_license("update", "bob", "--note", "x")
    assert as_json(run_license("show", "bob", "--json"))["disabled"] is True
    assert "requests_per_day: " in run_license("update", "bob", "--requests-per-day", "0", status=1)


def test_what_is_wrong_with_a_license_stops_no_revocation(run_license):
    run_license("create", "--id", "bob")

    async def spoil():
        database = Database("sqlite+aiosqlite:///gateway.db")
        await LicenseStore(database).change(
            "bob", lambda old: replace(old, limits=Limits(usd_per_day=1e300))
        )
        await database.close()

    asyncio.run(spoil())
    assert "usd_per_day: " in run_license("update", "bob", "--note", "x", status=1)
    assert as_json(run_license("revoke", "bob", "--json"))["disabled"] is True


def test_the_key_is_shown_once_only(run_license):
    key = as_json(run_license("create", "--id", "bob", "--json"))["key"]
    for words in (["list"], ["show", "bob"], ["list", "--json"], ["export"]):
        assert key not in run_license(*words)
        assert "bob" in run_license(*words)


def test_any_text_can_be_chosen_as_a_key_and_only_once(run_license):
    run_license("create", "--id", "a", "--key", "Bearer 任意")
    assert "has that key" in run_license("create", "--id", "b", "--key", "任意", status=1)


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
def test_what_cannot_be_done_is_said_with_its_name(run_license, words, complaint):
    assert complaint in run_license(*words, status=1)


def test_an_overlap_that_is_no_length_is_refused(run_license):
    run_license("create", "--id", "a")
    assert "not a length of time" in run_license("rotate", "a", "--overlap", "soon", status=2)
    assert "over a hundred years" in run_license("rotate", "a", "--overlap", "999999w", status=2)


def test_the_id_of_a_fixed_license_is_taken(run_license, tmp_path):
    (tmp_path / "config.toml").write_text('[[licenses]]\nid = "alice"\nkey = "k"\n')
    assert "config.toml has a license 'alice'" in run_license("create", "--id", "alice", status=1)


def test_a_database_that_cannot_be_reached_is_one_line(run_license, tmp_path):
    url = f'url = "sqlite+aiosqlite:///{tmp_path}/no/x.db"'
    (tmp_path / "config.toml").write_text(f"[database]\n{url}\n")
    assert run_license("list", status=1).startswith("Error: the database: OperationalError")


def test_an_update_that_says_nothing_or_two_things_is_refused(run_license):
    run_license("create", "--id", "bob")
    assert "There is nothing to change;" in run_license("update", "bob", status=2)
    output = run_license("update", "bob", "--clear", "owner", "--owner", "Bob", status=2)
    assert "owner is both cleared and set." in output


def test_a_list_of_models_that_covers_none_is_refused(run_license):
    """As a variable of a script is that was not set."""
    assert "models: an empty text covers no model" in run_license(
        "create", "--models", "", status=1
    )
