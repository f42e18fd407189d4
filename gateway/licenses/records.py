"""Licenses with all that the database knows of them, as they come out of it and go in."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.exchange import License


class StoredKey(NamedTuple):
    """What the database keeps of a key: its digest in hex, and the end of its life if it has one.

    Moments are Unix seconds.
    """

    digest: str
    expires: int | None
    created: int


@dataclass(frozen=True, slots=True)
class StoredLicense:
    """A license with what else the database knows of it."""

    license: License
    created: int
    keys: tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True)
class NewLicense:
    """A license to be added: with its *key*, or with *keys* of which only the digests are known.

    Those were made with the pepper that *pepper_check* belongs to, and that *pepper* may hold.
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
