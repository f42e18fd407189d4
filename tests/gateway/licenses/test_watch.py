"""The book follows the database, and outlives its outage for a while only."""

import asyncio
from dataclasses import replace

import pytest
import structlog
from sqlalchemy import text

from gateway.database.engine import Database
from gateway.errors import Unavailable
from gateway.exchange import License
from gateway.licenses.book import Book
from gateway.licenses.digest import digest
from gateway.licenses.store import LicenseStore
from gateway.licenses.watch import LicenseWatch


@pytest.fixture
def book():
    book = Book()
    book.replace_fixed({digest("fixed"): License("f")})
    return book


def watching(database, book, max_stale_s=3600.0, pepper=""):
    return LicenseWatch(database, LicenseStore(database, pepper), book, max_stale_s)


async def test_what_another_process_changes_is_seen_at_the_next_look(database, database_url, book):
    watch = watching(database, book)
    await watch.refresh()
    assert await watch.check() is None
    elsewhere = Database(database_url)
    store = LicenseStore(elsewhere)
    await store.create(License("a"), "key")
    await watch.refresh()
    assert book.find("key").disabled is False
    await store.change("a", lambda old: replace(old, disabled=True))
    await watch.refresh()
    assert book.find("key").disabled is True
    await elsewhere.close()


async def test_tables_of_a_newer_version_are_used_and_told_of_once(database, book):
    await database.migrate()
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await LicenseStore(database).create(License("a"), "key")
    watch = watching(database, book)
    with structlog.testing.capture_logs() as lines:
        await watch.refresh()
        await watch.refresh()
    assert [line["event"] for line in lines] == ["database_newer"]
    assert book.find("key").id == "a"


async def test_it_looks_by_itself(database, book):
    watch = watching(database, book)
    watch._interval_s = 0.01
    await watch.start()
    await LicenseStore(database).create(License("a"), "key")
    for _ in range(500):
        if book.find("key"):
            break
        await asyncio.sleep(0.01)
    await watch.close()
    assert book.find("key").id == "a"


async def test_a_file_that_nobody_wrote_to_is_not_asked(tmp_path, book, monkeypatch):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    watch = watching(database, book)
    await watch.refresh()
    await asyncio.sleep(0.15)
    await watch.refresh()
    asked = []
    revision = LicenseStore.revision

    async def counted(store):
        asked.append(store)
        return await revision(store)

    monkeypatch.setattr(LicenseStore, "revision", counted)
    await watch.refresh()
    await watch.refresh()
    assert (asked, await watch.check()) == ([], None)
    await LicenseStore(database).create(License("a"), "key")
    # Twice: a change just made may be followed by one that bears the same time.
    await watch.refresh()
    await watch.refresh()
    assert len(asked) == 2
    assert book.find("key").id == "a"
    await LicenseStore(database).create(License("b"), "other key")
    await asyncio.sleep(0.15)
    await watch.refresh()
    assert book.find("other key").id == "b"
    await database.close()


async def test_a_database_that_is_not_there_is_told_and_tried_again(tmp_path, book):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/later/test.db")
    watch = watching(database, book)
    await watch.refresh()
    assert await watch.check() == "the licenses cannot be read from the database"
    assert not watch.has_read()
    (tmp_path / "later").mkdir()
    await watch.refresh()
    assert await watch.check() is None
    assert watch.has_read()
    await database.close()


@pytest.mark.parametrize(("max_stale_s", "known"), [(3600.0, True), (0.0, False)])
async def test_known_licenses_hold_without_a_database_for_as_long_as_configured(
    tmp_path, book, max_stale_s, known
):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    watch = watching(database, book, max_stale_s)
    await watch.refresh()
    await LicenseStore(database).create(License("a"), "key")
    await watch.refresh()
    assert book.find("key").id == "a"
    await database.close()
    (tmp_path / "test.db").unlink()
    (tmp_path / "test.db").mkdir()
    await watch.refresh()
    if known:
        assert book.find("key").id == "a"
    else:
        with pytest.raises(Unavailable, match="database"):
            book.find("key")
    assert (await watch.check() is None) is known
    assert book.find("unknown") is None
    assert book.find("fixed").id == "f"
    await database.close()


async def test_licenses_that_were_stale_hold_again_when_the_database_is_back(
    tmp_path, database, database_url, book
):
    watch = watching(database, book, max_stale_s=0.0)
    await LicenseStore(database).create(License("a"), "key")
    await watch.refresh()
    watch._note_failure("no answer")
    with pytest.raises(Unavailable):
        book.find("key")
    await watch.refresh()
    assert book.find("key").id == "a"


async def test_before_the_first_look_any_key_may_be_a_license_but_fixed_ones_hold(tmp_path, book):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/no/test.db")
    watch = watching(database, book)
    await watch.start()
    with pytest.raises(Unavailable) as caught:
        book.find("whatever")
    assert caught.value.retry_after
    assert book.find("fixed").id == "f"
    await watch.close()
    await database.close()


async def test_a_wrong_pepper_serves_nobody_and_says_so(database, book):
    await LicenseStore(database, "right").create(License("a"), "key")
    watch = watching(database, book, pepper="wrong")
    await watch.refresh()
    with pytest.raises(Unavailable):
        book.find("key")
    assert await watch.check() is not None


async def test_whatever_goes_wrong_in_a_look_the_next_one_is_made(database, book, monkeypatch):
    async def broken(_):
        raise KeyError("bob")

    watch = watching(database, book, max_stale_s=0.0)
    watch._interval_s = 0.01
    monkeypatch.setattr(LicenseStore, "revision", broken)
    with structlog.testing.capture_logs() as lines:
        await watch.start()
        assert await watch.check() is not None
        await asyncio.sleep(0.05)
    assert [line["event"] for line in lines] == ["licenses_unreadable", "database_down"]
    await LicenseStore(database).create(License("a"), "key")
    monkeypatch.undo()
    async with asyncio.timeout(10):
        while watch._revision == -1:
            await asyncio.sleep(0.01)
    await watch.close()
    assert book.find("key").id == "a"


async def test_the_licenses_of_a_file_that_took_the_place_of_another_are_read(tmp_path, book):
    """Its number of changes may be the same."""
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    for path in paths:
        database = Database(f"sqlite+aiosqlite:///{path}")
        await database.migrate()
        await LicenseStore(database).create(License(path.stem), path.name)
        await database.close()
    database = Database(f"sqlite+aiosqlite:///{paths[0]}")
    watch = watching(database, book)
    await watch.refresh()
    assert book.find("a.db").id == "a"
    for file in tmp_path.glob("a.db*"):
        file.unlink()
    await watch.refresh()
    assert book.find("a.db").id == "a"
    paths[1].rename(paths[0])
    await watch.refresh()
    assert (book.find("a.db"), book.find("b.db").id) == (None, "b")
    await database.close()
