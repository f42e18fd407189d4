"""The licenses of the database: read as a whole, changed one by one.

Each change raises the revision in its own transaction; processes that watch it read again.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database.engine import Database
from gateway.database.statements import (
    all_rows,
    insert_new,
    look_for_revision,
    raise_revision,
    revision_of,
)
from gateway.database.tables import LICENSE_KEYS, LICENSES
from gateway.exchange import License
from gateway.licenses.digest import keyed_digest
from gateway.licenses.pepper import adopt_pepper, check_value, ensure_pepper
from gateway.licenses.records import NewLicense, Refused, StoredKey, StoredLicense
from gateway.licenses.rows import by_digest, license_of_row, row_of

REVISION = "licenses"


class LicenseError(Exception):
    """A change that cannot be made; the text says why."""


class Loaded(NamedTuple):
    """All licenses by keyed digest, as of a revision."""

    revision: int
    pepper: bytes
    licenses: dict[bytes, License]


class LicenseStore:
    """Reads and changes the licenses in *database*; *pepper* is the configured one, if any."""

    def __init__(self, database: Database, pepper: str = "") -> None:
        self._database = database
        self._pepper = pepper

    async def revision(self) -> int:
        """Return the number that grows with each change; 0 before the first."""
        return await look_for_revision(self._database, REVISION)

    async def load(self) -> Loaded:
        """Return everything. Raises `WrongPepper`."""
        async with self._database.writing() as connection:
            pepper = await ensure_pepper(connection, self._pepper)
            number = await revision_of(connection, REVISION)
            # In this order: licenses are never deleted, so the one of each key is found.
            keys = await all_rows(connection, LICENSE_KEYS)
            rows = await all_rows(connection, LICENSES)
        # Thousands take a fifth of a second, in which others want to be served.
        licenses = await asyncio.to_thread(by_digest, rows, keys)
        return Loaded(number, pepper, licenses)

    async def stored(self, ids: Collection[str] = ()) -> list[StoredLicense]:
        """Return the licenses named *ids*, by default all, in the order of their creation.

        Raises `LicenseError` for an unknown one.
        """
        async with self._database.reading() as connection:
            of_licenses = select(LICENSES).order_by(LICENSES.c.created, LICENSES.c.id)
            of_keys = select(LICENSE_KEYS).order_by(LICENSE_KEYS.c.created, LICENSE_KEYS.c.digest)
            if ids:
                of_licenses = of_licenses.where(LICENSES.c.id.in_(ids))
                of_keys = of_keys.where(LICENSE_KEYS.c.license.in_(ids))
            rows = (await connection.execute(of_licenses)).all()
            keys = (await connection.execute(of_keys)).all()
        _require(ids, {row.id for row in rows})
        by_license: dict[str, list[StoredKey]] = {}
        for key in keys:
            stored_key = StoredKey(key.digest.hex(), key.expires, key.created)
            by_license.setdefault(key.license, []).append(stored_key)
        return [
            StoredLicense(license_of_row(row), row.created, tuple(by_license.get(row.id, ())))
            for row in rows
        ]

    async def create(self, license_: License, key: str) -> None:
        """Add *license_* with *key*. Raises `LicenseError` if its id or *key* is taken."""
        async with self._database.writing() as connection:
            pepper = await ensure_pepper(connection, self._pepper)
            if refused := await _add(connection, NewLicense(license_, key), pepper):
                raise LicenseError(refused.reason)
            await raise_revision(connection, REVISION)

    async def update(self, license_: License) -> None:
        """Overwrite the license with the id of *license_*. Raises `LicenseError`."""
        await self.change(license_.id, lambda _: license_)

    async def change(self, id_: str, make: Callable[[License], License]) -> None:
        """Overwrite license *id_* by the result of *make*; nobody changes it in between.

        Raises `LicenseError`, and whatever *make* raises.
        """
        has_id = LICENSES.c.id == id_
        async with self._database.writing() as connection:
            # PostgreSQL locks the row; SQLite has one writer at a time.
            old = (
                await connection.execute(select(LICENSES).where(has_id).with_for_update())
            ).first()
            if old is None:
                raise _unknown(id_)
            values = row_of(make(license_of_row(old)))
            del values["id"]
            await connection.execute(update(LICENSES).where(has_id).values(values))
            await raise_revision(connection, REVISION)

    async def rotate(self, id_: str, key: str, overlap_s: int) -> None:
        """Give license *id_* a new *key*; its current ones stay valid for at most *overlap_s*.

        Raises `LicenseError`.
        """
        now = int(time.time())
        async with self._database.writing() as connection:
            stored_id = await connection.scalar(select(LICENSES.c.id).where(LICENSES.c.id == id_))
            _require((id_,), (stored_id,))
            end = now + overlap_s
            lives_on = or_(LICENSE_KEYS.c.expires.is_(None), LICENSE_KEYS.c.expires > end)
            await connection.execute(
                update(LICENSE_KEYS)
                .where(and_(LICENSE_KEYS.c.license == id_, lives_on))
                .values(expires=end)
            )
            digest = keyed_digest(key, await ensure_pepper(connection, self._pepper))
            if not await _add_key(connection, id_, StoredKey(digest.hex(), None, now)):
                raise LicenseError("another license has that key already")
            await raise_revision(connection, REVISION)

    async def add_all(self, licenses: Sequence[NewLicense]) -> list[Refused | None]:
        """Add licenses in one transaction; return the reason of each refusal, or None.

        A database without any keys adopts the pepper that came along.
        """
        async with self._database.writing() as connection:
            pepper = await ensure_pepper(connection, self._pepper)
            pepper_along = next((license_.pepper for license_ in licenses if license_.pepper), "")
            keys = await connection.scalar(select(LICENSE_KEYS.c.digest).limit(1))
            if pepper_along and keys is None and not self._pepper:
                await adopt_pepper(connection, pepper_along)
                pepper = pepper_along.encode()
            refused = [await _add(connection, license_, pepper) for license_ in licenses]
            await raise_revision(connection, REVISION)
        return refused

    async def pepper(self) -> bytes:
        """Return the current pepper. Raises `WrongPepper`."""
        async with self._database.writing() as connection:
            return await ensure_pepper(connection, self._pepper)


async def _add(connection: AsyncConnection, new: NewLicense, pepper: bytes) -> Refused | None:
    """Add the license with its keys, or nothing; return the reason if it is refused."""
    if new.keys and new.pepper_check != check_value(pepper):
        return Refused("invalid", "its keys were made with another pepper")
    now = int(time.time())
    keys = new.keys or (StoredKey(keyed_digest(new.key, pepper).hex(), None, now),)
    savepoint = await connection.begin_nested()
    values = row_of(new.license) | {"created": now if new.created is None else new.created}
    added = await connection.execute(insert_new(connection, LICENSES), [values])
    if not added.rowcount:
        await savepoint.rollback()
        return Refused("duplicate", f"there is a license {new.license.id!r} already")
    for key in keys:
        if not await _add_key(connection, new.license.id, key):
            await savepoint.rollback()
            return Refused("duplicate", "another license has that key already")
    await savepoint.commit()
    return None


async def _add_key(connection: AsyncConnection, id_: str, key: StoredKey) -> bool:
    row = key._asdict() | {"license": id_, "digest": bytes.fromhex(key.digest)}
    added = await connection.execute(insert_new(connection, LICENSE_KEYS), [row])
    return bool(added.rowcount)


def _require(ids: Collection[str], known_ids: Collection[str | None]) -> None:
    for id_ in ids:
        if id_ not in known_ids:
            raise _unknown(id_)


def _unknown(id_: str) -> LicenseError:
    return LicenseError(f"there is no license {id_!r} in the database")
