"""All licenses in memory, found by the digest of their key. Looking one up never waits.

The book is made of sources (the fixed ones of `config.toml` by SHA-256, the ones of the database by
HMAC); each is replaced as a whole, so a reader sees the old set or the new one and nothing in
between.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import date, datetime, time
from hashlib import blake2b
from zoneinfo import ZoneInfo

from gateway.errors import Unavailable
from gateway.exchange import License, Limits
from gateway.licenses.digest import digest, keyed_digest, normalised
from gateway.settings import License as FixedLicense

# The database is looked into more often than this.
RETRY_AFTER_S = 5.0
_LIMITS = tuple(Limits.__dataclass_fields__)


class Book:
    """Licenses by digest, from several sources; an earlier source wins over a later one."""

    __slots__ = ("_found", "_keyed", "_pepper", "_recent", "_salt", "_sources", "_suspended")

    def __init__(self) -> None:
        self._sources: dict[str, Mapping[bytes, License]] = {}
        self._found: dict[bytes, tuple[bytes, License]] = {}
        # What was found before, by a digest that costs a fraction: OpenSSL's takes microseconds.
        self._recent: dict[bytes, License] = {}
        self._salt = secrets.token_bytes(16)
        self._keyed: Mapping[bytes, License] = {}
        self._pepper = b""
        self._suspended = False

    def replace(self, source: str, licenses: Mapping[bytes, License]) -> None:
        """Take *licenses*, by `digest`, for all that *source* gave before."""
        self._sources[source] = licenses
        self._forget()

    def replace_keyed(self, pepper: bytes, licenses: Mapping[bytes, License]) -> None:
        """Take *licenses*, by `keyed_digest` with *pepper*, for those before; they come last."""
        self._pepper, self._keyed = pepper, licenses
        self._suspended = False
        self._forget()

    def suspend(self) -> None:
        """Let the keyed licenses no longer be judged, until they are replaced."""
        self._suspended = True
        self._forget()

    def find(self, key: str) -> License | None:
        """Give the license whose secret is *key*, disabled and expired ones too.

        Raises `Unavailable` for one that cannot be judged now, since it may have been revoked.
        """
        # Nobody outside knows the salt: how long a look-up takes tells nothing about a key.
        quick = blake2b(key.encode("utf-8", "replace"), digest_size=16, key=self._salt).digest()
        found = self._recent.get(quick)
        if found is None and (found := self._find(key)) is not None:
            self._recent[quick] = found
        return found

    def _find(self, key: str) -> License | None:
        wanted = digest(key)
        # The table is searched by digest, of which a guesser controls no byte; the comparison in
        # constant time is for the entry it gives.
        found = self._found.get(wanted)
        if found is None:
            return self._find_keyed(key)
        return found[1] if hmac.compare_digest(found[0], wanted) else None

    def _find_keyed(self, key: str) -> License | None:
        found = self._keyed.get(keyed_digest(key, self._pepper)) if self._keyed else None
        # Before the first look into the database any key may be one of its licenses.
        if self._suspended and (found or not self._pepper):
            raise Unavailable(
                "Licenses cannot be checked now, because their database does not answer.",
                retry_after=RETRY_AFTER_S,
            )
        return found

    def _forget(self) -> None:
        found: dict[bytes, tuple[bytes, License]] = {}
        for one in reversed(self._sources.values()):
            found.update({key: (key, license_) for key, license_ in one.items()})
        self._found = found
        self._recent.clear()

    def licenses(self) -> list[License]:
        """Give every license once, however many keys it has."""
        sources = (*self._sources.values(), self._keyed)
        return list({one.id: one for source in sources for one in source.values()}.values())

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._keyed) + sum(map(len, self._sources.values()))


def fixed(settings: tuple[FixedLicense, ...]) -> dict[bytes, License]:
    """Give the licenses of `config.toml`, whose secrets are resolved, by digest."""
    return {_digest(one): license_of(one) for one in settings}


def _digest(one: FixedLicense) -> bytes:
    if one.key_sha256 is not None:
        return bytes.fromhex(one.key_sha256)
    return digest(normalised(one.key or ""))


def license_of(one: FixedLicense) -> License:
    """Give *one* without its secret."""
    return License(
        id=one.id,
        owner=one.owner,
        note=one.note,
        models=one.models,
        networks=one.networks,
        limits=Limits(**{name: getattr(one, name) for name in _LIMITS}),
        timezone=one.timezone,
        expires=_moment(one.expires, ZoneInfo(one.timezone)),
        disabled=one.disabled,
    )


def _moment(expires: date | datetime | None, zone: ZoneInfo) -> datetime | None:
    """Give *expires* as a moment, in *zone* where it names none; a day is its first second."""
    if expires is None:
        return None
    if not isinstance(expires, datetime):
        expires = datetime.combine(expires, time.min)
    return expires if expires.tzinfo else expires.replace(tzinfo=zone)
