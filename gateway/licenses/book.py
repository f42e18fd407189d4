"""All licenses in memory, found by the digest of their key. Looking one up never waits.

The book is made of sources (the fixed ones of `config.toml`, the ones of the database); each is
replaced as a whole, so a reader sees the old set or the new one and nothing in between.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from gateway.exchange import License, Limits
from gateway.licenses.digest import digest, normalised
from gateway.settings import License as FixedLicense

_LIMITS = tuple(Limits.__dataclass_fields__)


class Book:
    """Licenses by digest, from several sources; an earlier source wins over a later one."""

    __slots__ = ("_found", "_sources")

    def __init__(self) -> None:
        self._sources: dict[str, Mapping[bytes, License]] = {}
        self._found: dict[bytes, tuple[bytes, License]] = {}

    def replace(self, source: str, licenses: Mapping[bytes, License]) -> None:
        """Take *licenses*, by digest, for all that *source* gave before."""
        self._sources[source] = licenses
        found: dict[bytes, tuple[bytes, License]] = {}
        for one in reversed(self._sources.values()):
            found.update({key: (key, license_) for key, license_ in one.items()})
        self._found = found

    def find(self, key: str) -> License | None:
        """Give the license whose secret is *key*, disabled and expired ones too."""
        wanted = digest(key)
        # The table is searched by digest, of which a guesser controls no byte; the comparison in
        # constant time is for the entry it gives.
        found = self._found.get(wanted)
        if found is None or not hmac.compare_digest(found[0], wanted):
            return None
        return found[1]

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._found)


def fixed(settings: tuple[FixedLicense, ...]) -> dict[bytes, License]:
    """Give the licenses of `config.toml`, whose secrets are resolved, by digest."""
    return {_digest(one): _license(one) for one in settings}


def _digest(one: FixedLicense) -> bytes:
    if one.key_sha256 is not None:
        return bytes.fromhex(one.key_sha256)
    return digest(normalised(one.key or ""))


def _license(one: FixedLicense) -> License:
    return License(
        id=one.id,
        owner=one.owner,
        note=one.note,
        models=one.models,
        networks=one.networks,
        limits=Limits(**{name: getattr(one, name) for name in _LIMITS}),
        timezone=one.timezone,
        expires=_moment(one.expires),
        disabled=one.disabled,
    )


def _moment(expires: date | datetime | None) -> datetime | None:
    """Give *expires* as a moment: a bare date is its first second, no zone is UTC."""
    if expires is None:
        return None
    if not isinstance(expires, datetime):
        expires = datetime.combine(expires, time.min)
    return expires if expires.tzinfo else expires.replace(tzinfo=UTC)
