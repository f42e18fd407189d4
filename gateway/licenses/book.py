"""All licenses in memory, found by the digest of their key. A look-up never waits.

There are two sets, the fixed ones of `config.toml` by SHA-256 and those of the database by HMAC;
each is replaced as a whole, so a reader sees either the old set or the new one.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import date, datetime, time
from hashlib import blake2b
from zoneinfo import ZoneInfo

from gateway.errors import Unavailable
from gateway.exchange import LIMITS, License, Limits
from gateway.licenses.digest import digest, keyed_digest, normalised
from gateway.settings import License as FixedLicense

# The database is checked more often than this.
RETRY_AFTER_S = 5.0


class Book:
    """Licenses by digest; fixed ones take precedence."""

    __slots__ = ("_fixed", "_keyed", "_pepper", "_recent", "_salt", "_suspended")

    def __init__(self) -> None:
        # With the digest once more, to be compared.
        self._fixed: dict[bytes, tuple[bytes, License]] = {}
        # Recent results, by a much cheaper digest: OpenSSL's takes microseconds.
        self._recent: dict[bytes, License] = {}
        self._salt = secrets.token_bytes(16)
        self._keyed: Mapping[bytes, License] = {}
        self._pepper = b""
        self._suspended = False

    def replace_fixed(self, licenses: Mapping[bytes, License]) -> None:
        """Replace the fixed licenses, keyed by `digest`."""
        self._fixed = {key: (key, license_) for key, license_ in licenses.items()}
        self._recent.clear()

    def replace_keyed(self, pepper: bytes, licenses: Mapping[bytes, License]) -> None:
        """Replace the licenses of the database, keyed by `keyed_digest` with *pepper*."""
        self._pepper, self._keyed = pepper, licenses
        self._suspended = False
        self._recent.clear()

    def suspend(self) -> None:
        """Make keyed licenses unavailable until they are replaced."""
        self._suspended = True
        self._recent.clear()

    def find(self, key: str) -> License | None:
        """Return the license whose secret is *key*, even if disabled or expired.

        Raises `Unavailable` for one that cannot be judged now, since it may have been revoked.
        """
        # Nobody outside knows the salt: the time of a look-up reveals nothing about a key.
        quick_digest = blake2b(
            key.encode("utf-8", "replace"), digest_size=16, key=self._salt
        ).digest()
        license_ = self._recent.get(quick_digest)
        if license_ is None and (license_ := self._find(key)) is not None:
            self._recent[quick_digest] = license_
        return license_

    def licenses(self) -> list[License]:
        """Return every license once, however many keys it has."""
        fixed_ones = (license_ for _, license_ in self._fixed.values())
        return list({one.id: one for one in (*fixed_ones, *self._keyed.values())}.values())

    def _find(self, key: str) -> License | None:
        key_digest = digest(key)
        # The table is searched by digest, of which a guesser controls no byte; the comparison in
        # constant time is for the entry found.
        entry = self._fixed.get(key_digest)
        if entry is None:
            return self._find_keyed(key)
        return entry[1] if hmac.compare_digest(entry[0], key_digest) else None

    def _find_keyed(self, key: str) -> License | None:
        license_ = self._keyed.get(keyed_digest(key, self._pepper)) if self._keyed else None
        # Before the first read of the database any key may be one of its licenses.
        if self._suspended and (license_ or not self._pepper):
            raise Unavailable(
                "Licenses cannot be checked now, because their database does not answer.",
                retry_after=RETRY_AFTER_S,
            )
        return license_


def fixed(settings: tuple[FixedLicense, ...]) -> dict[bytes, License]:
    """Return the licenses of `config.toml`, whose secrets are resolved, by digest."""
    return {_digest(one): license_of(one) for one in settings}


def _digest(license_: FixedLicense) -> bytes:
    if license_.key_sha256 is not None:
        return bytes.fromhex(license_.key_sha256)
    return digest(normalised(license_.key or ""))


def license_of(fixed_license: FixedLicense) -> License:
    """Return *fixed_license* without its secret."""
    return License(
        id=fixed_license.id,
        owner=fixed_license.owner,
        note=fixed_license.note,
        models=fixed_license.models,
        networks=fixed_license.networks,
        limits=Limits(**{name: getattr(fixed_license, name) for name in LIMITS}),
        timezone=fixed_license.timezone,
        expires=_moment(fixed_license.expires, ZoneInfo(fixed_license.timezone)),
        disabled=fixed_license.disabled,
    )


def _moment(expires: date | datetime | None, zone: ZoneInfo) -> datetime | None:
    """Return *expires* as a moment, in *zone* if it names none; a day is its first second."""
    if expires is None:
        return None
    if not isinstance(expires, datetime):
        expires = datetime.combine(expires, time.min)
    return expires if expires.tzinfo else expires.replace(tzinfo=zone)
