"""Licenses with all their data in the database, as they are read from it and written to it."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.exchange import License


class StoredKey(NamedTuple):
    """A key in the database: its digest in hex, and the end of its validity, if any.

    Moments are Unix seconds.
    """

    digest: str
    expires: int | None
    created: int


@dataclass(frozen=True, slots=True)
class StoredLicense:
    """A license with its other data in the database."""

    license: License
    created: int
    keys: tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True)
class NewLicense:
    """A license to be added: with its *key*, or with *keys* of which only the digests are known.

    Those were made with the pepper that *pepper_check* identifies and that *pepper* may hold.
    """

    license: License
    key: str = ""
    keys: tuple[StoredKey, ...] = ()
    created: int | None = None
    pepper_check: str = ""
    pepper: str = ""


class Refused(NamedTuple):
    """Why a license was not added: *result* is `duplicate` or `invalid`."""

    result: str
    reason: str
