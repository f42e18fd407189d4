"""Licenses in the database: each change at once, as a whole, and seen by all."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, update

from gateway.database.engine import Database
from gateway.database.tables import LICENSES
from gateway.exchange import License
from gateway.licenses import store as store_module
from gateway.licenses.book import Book
from gateway.licenses.pepper import WrongPepper
from gateway.licenses.records import NewLicense
from gateway.licenses.store import LicenseError, LicenseStore
from tests.gateway.licenses.full import FULL


@pytest.fixture
def store(database):
    return LicenseStore(database)


async def book_of(store):
    book = Book()
    loaded = await store.load()
    book.replace_keyed(loaded.pepper, loaded.licenses)
    return book


async def test_what_is_created_is_found_by_its_key_with_all_its_fields(store):
    await store.create(FULL, "secret")
    book = await book_of(store)
    assert book.find("secret") == FULL
    assert book.find("secret") == FULL
    assert book.find("other") is None


async def test_the_key_itself_is_nowhere_in_the_database(store):
    await store.create(FULL, "the-secret-key")
    [kept] = await store.stored()
    assert "the-secret-key" not in repr(kept)


async def test_an_id_and_a_key_can_be_taken_once(store):
    await store.create(License("a"), "key")
    with pytest.raises(LicenseError, match="there is a license 'a'"):
        await store.create(License("a"), "other")
    with pytest.raises(LicenseError, match="another license has that key"):
        await store.create(License("b"), "key")
    assert [one.license.id for one in await store.stored()] == ["a"]


async def test_every_change_raises_the_revision(store):
    seen = [await store.revision()]
    await store.create(License("a"), "key")
    seen.append(await store.revision())
    await store.change("a", lambda old: replace(old, owner="new"))
    seen.append(await store.revision())
    await store.rotate("a", "key2", 0)
    seen.append(await store.revision())
    assert seen == sorted(set(seen))
    assert (await book_of(store)).find("key2").owner == "new"


async def test_a_rotated_key_lives_on_for_the_overlap(store):
    await store.create(License("a"), "old")
    await store.rotate("a", "new", 3600)
    book = await book_of(store)
    assert book.find("new").expires is None
    assert 3590 < book.find("old").expires.timestamp() - time.time() <= 3600
    await store.rotate("a", "newest", 0)
    book = await book_of(store)
    now = datetime.now(UTC)
    assert book.find("old").expires <= now
    assert book.find("new").expires <= now


async def test_a_change_undoes_no_other_one_that_came_between(store, database_url):
    await store.create(License("a"), "key")
    elsewhere = Database(database_url)
    revoking = []

    async def revoke():
        await LicenseStore(elsewhere).change("a", lambda old: replace(old, disabled=True))

    def note(old):
        revoking.append(asyncio.create_task(revoke()))
        return replace(old, note="x")

    await store.change("a", note)
    await asyncio.gather(*revoking)
    await store.change("a", lambda old: replace(old, owner="Ann"))
    [kept] = await store.stored()
    assert (kept.license.note, kept.license.owner) == ("x", "Ann")
    assert kept.license.disabled
    await elsewhere.close()


async def test_a_change_that_cannot_be_made_changes_nothing(store):
    await store.create(License("a"), "key")
    before = await store.revision()
    with pytest.raises(ZeroDivisionError):
        await store.change("a", lambda _: 1 / 0)
    assert await store.revision() == before


@pytest.mark.parametrize("change", ["change", "rotate", "stored"])
async def test_an_unknown_license_is_named(store, change):
    calls = {
        "change": lambda: store.change("ghost", lambda old: old),
        "rotate": lambda: store.rotate("ghost", "k", 0),
        "stored": lambda: store.stored(["ghost"]),
    }
    with pytest.raises(LicenseError, match="no license 'ghost'"):
        await calls[change]()


async def test_adding_many_tells_which_were_not_added(store):
    await store.create(License("a"), "key-a")
    found = [("b", "key-b"), ("c", "key-a"), ("b", "key-d")]
    refused = await store.add_all([NewLicense(License(id_), key) for id_, key in found])
    assert refused[0] is None
    assert refused[1] == ("duplicate", "another license has that key already")
    assert refused[2] == ("duplicate", "there is a license 'b' already")
    assert {one.license.id for one in await store.stored()} == {"a", "b"}


async def test_very_many_are_added_in_few_statements(store, database):
    statements = []
    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *words: statements.append(words[2]))
    many = [NewLicense(License(f"l{number}"), f"key-{number}") for number in range(1_200)]
    assert await store.add_all(many) == [None] * 1_200
    assert len(statements) < 20
    assert len(await store.stored()) == 1_200


async def test_of_those_that_add_the_same_id_at_once_one_does(store):
    made = await asyncio.gather(
        *(store.create(License("a"), f"key-{number}") for number in range(3)),
        return_exceptions=True,
    )
    errors = [str(error) for error in made if isinstance(error, LicenseError)]
    assert errors == ["there is a license 'a' already"] * 2
    assert [len(one.keys) for one in await store.stored()] == [1]


async def test_another_pepper_than_before_is_noticed(database):
    first = LicenseStore(database, "pepper")
    await first.create(License("a"), "key")
    assert (await book_of(first)).find("key").id == "a"
    for other in ("salt", ""):
        with pytest.raises(WrongPepper):
            await LicenseStore(database, other).load()


async def test_a_pepper_that_was_made_may_be_moved_into_the_configuration(store, database):
    await store.create(License("a"), "key")
    made = (await store.load()).pepper
    moved = LicenseStore(database, made.decode())
    assert (await book_of(moved)).find("key").id == "a"
    with pytest.raises(WrongPepper):
        await LicenseStore(database, "other").load()


async def test_a_license_that_is_made_while_all_are_read_harms_nothing(postgres, monkeypatch):
    url = postgres.new_url()
    reading, writing = Database(url), Database(url)
    await reading.migrate()
    store = LicenseStore(reading)
    await store.create(License("a"), "key-a")
    await store.load()
    read = store_module.all_rows

    async def interrupted(connection, table):
        rows = await read(connection, table)
        monkeypatch.setattr(store_module, "all_rows", read)
        await LicenseStore(writing).create(License("b"), "key-b")
        return rows

    monkeypatch.setattr(store_module, "all_rows", interrupted)
    before = (await store.load()).revision
    assert await store.revision() > before
    book = await book_of(store)
    assert (book.find("key-a").id, book.find("key-b").id) == ("a", "b")
    await reading.close()
    await writing.close()


async def test_what_ends_after_the_year_9999_never_does(store, database):
    await store.create(License("a"), "old")
    await store.rotate("a", "new", 10**12)
    async with database.writing() as connection:
        await connection.execute(update(LICENSES).values(expires=10**12))
    book = await book_of(store)
    assert (book.find("old").expires, book.find("new").expires) == (None, None)
