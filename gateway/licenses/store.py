"""The licenses of the database: read as a whole, changed one by one.

Each change raises the revision in its own transaction; processes that watch it read again.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, and_, insert, or_, select, update
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
KEY_TAKEN = "another license has that key already"
# Values in one query.
MOST_ASKED = 500


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
            [refused] = await _add(connection, [NewLicense(license_, key)], pepper)
            if refused:
                raise LicenseError(refused.reason)

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
            row = _key_row(id_, StoredKey(digest.hex(), None, now))
            added = await connection.execute(insert_new(connection, LICENSE_KEYS), [row])
            if not added.rowcount:
                raise LicenseError(KEY_TAKEN)
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
            return await _add(connection, licenses, pepper)

    async def pepper(self) -> bytes:
        """Return the current pepper. Raises `WrongPepper`."""
        async with self._database.writing() as connection:
            return await ensure_pepper(connection, self._pepper)


async def _add(
    connection: AsyncConnection, licenses: Sequence[NewLicense], pepper: bytes
) -> list[Refused | None]:
    """Add *licenses* in few statements; return for each the reason if it is refused."""
    # First of all: from here to the commit nobody else adds one, on PostgreSQL either.
    await raise_revision(connection, REVISION)
    now, check = int(time.time()), check_value(pepper)
    rows, key_rows, refused = [], [], []
    all_keys = [
        one.keys or (StoredKey(keyed_digest(one.key, pepper).hex(), None, now),) for one in licenses
    ]
    ids = await _taken(connection, LICENSES.c.id, [one.license.id for one in licenses])
    digests = [bytes.fromhex(key.digest) for keys in all_keys for key in keys]
    taken = await _taken(connection, LICENSE_KEYS.c.digest, digests)
    for one, keys in zip(licenses, all_keys, strict=True):
        own = {bytes.fromhex(key.digest) for key in keys}
        is_taken = len(own) < len(keys) or not taken.isdisjoint(own)
        reason = _refused(one, check, has_id=one.license.id in ids, has_key=is_taken)
        refused.append(reason)
        if reason is None:
            ids.add(one.license.id)
            taken |= own
            created = now if one.created is None else one.created
            rows.append(row_of(one.license) | {"created": created})
            key_rows += [_key_row(one.license.id, key) for key in keys]
    if rows:
        await connection.execute(insert(LICENSES), rows)
        await connection.execute(insert(LICENSE_KEYS), key_rows)
    return refused


async def _taken(
    connection: AsyncConnection, column: Column[Any], values: Sequence[Any]
) -> set[Any]:
    """Return those of *values* that *column* holds."""
    taken: set[Any] = set()
    for start in range(0, len(values), MOST_ASKED):
        asked = values[start : start + MOST_ASKED]
        taken.update(await connection.scalars(select(column).where(column.in_(asked))))
    return taken


def _refused(new: NewLicense, check: str, *, has_id: bool, has_key: bool) -> Refused | None:
    """Return why *new* cannot be added, given whether its id or key is taken; None if it can."""
    if new.keys and new.pepper_check != check:
        return Refused("invalid", "its keys were made with another pepper")
    if has_id:
        return Refused("duplicate", f"there is a license {new.license.id!r} already")
    if has_key:
        return Refused("duplicate", KEY_TAKEN)
    return None


def _key_row(id_: str, key: StoredKey) -> dict[str, Any]:
    return key._asdict() | {"license": id_, "digest": bytes.fromhex(key.digest)}


def _require(ids: Collection[str], known_ids: Collection[str | None]) -> None:
    for id_ in ids:
        if id_ not in known_ids:
            raise _unknown(id_)


def _unknown(id_: str) -> LicenseError:
    return LicenseError(f"there is no license {id_!r} in the database")
