"""Rows of the database's tables as licenses, and licenses as rows."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Row

from gateway.exchange import LIMITS, License, Limits

# The latest possible moment; what ends later never ends.
_LAST = 253_402_300_799
_NO_LIMITS = Limits()


def license_of_row(row: Row[Any]) -> License:
    """Return the license that *row* of the table holds."""
    limits = Limits(*(getattr(row, name) for name in LIMITS))
    return License(
        id=row.id,
        owner=row.owner,
        note=row.note,
        models=tuple(orjson.loads(row.models)),
        networks=tuple(orjson.loads(row.networks)),
        # Most licenses have the same few limits; those without any share one object.
        limits=_NO_LIMITS if limits == _NO_LIMITS else limits,
        timezone=row.timezone,
        expires=None
        if row.expires is None or row.expires > _LAST
        else datetime.fromtimestamp(row.expires, UTC),
        disabled=row.disabled,
    )


def row_of(license_: License) -> dict[str, Any]:
    """Return the columns of *license_*."""
    expires = license_.expires
    return asdict(license_.limits) | {
        "id": license_.id,
        "owner": license_.owner,
        "note": license_.note,
        "models": orjson.dumps(license_.models).decode(),
        "networks": orjson.dumps(license_.networks).decode(),
        "timezone": license_.timezone,
        "expires": None if expires is None else int(expires.timestamp()),
        "disabled": license_.disabled,
    }


def by_digest(rows: Sequence[Row[Any]], keys: Sequence[Row[Any]]) -> dict[bytes, License]:
    """Return the licenses of *rows* by the digests of their *keys*; none outlives its key."""
    licenses = {row.id: license_of_row(row) for row in rows}
    return {bytes(key.digest): _until(licenses[key.license], key.expires) for key in keys}


def _until(license_: License, end: int | None) -> License:
    """Return *license_* for a key that ends at *end*."""
    if end is None or end > _LAST:
        return license_
    moment = datetime.fromtimestamp(end, UTC)
    return replace(license_, expires=min(moment, license_.expires or moment))
