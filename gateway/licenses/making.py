"""Makes and changes licenses from loose fields, by the same rules as those of `config.toml`."""

import re
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_network
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.exchange import LIMITS, License
from gateway.licenses.book import license_of
from gateway.settings import License as FixedLicense
from gateway.zones import zone_of

FIELDS: Final = (
    *("owner", "note", "models", "networks", *LIMITS),
    *("timezone", "expires", "disabled"),
)
# The id is part of the key, of log lines and of file names.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def make_license(fields: Mapping[str, Any]) -> License:
    """Make a license from *fields*, `id` among them. Raises `ValueError` naming the field."""
    id_ = fields.get("id", "")
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise ValueError(f"id: {str(id_)[:80]!r} must be letters, digits, '.', '_' or '-'")
    try:
        table = msgspec.convert(_dated(fields), FixedLicense, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise ValueError(f"{place.rstrip('`') or 'license'}: {reason.lower()}") from None
    _check_places(table)
    return license_of(table)


def change_license(license_: License, fields: Mapping[str, Any]) -> License:
    """Return *license_* with some *fields* changed. Raises `ValueError` naming the field."""
    return make_license({**fields_of(license_), **fields})


def fields_of(license_: License) -> dict[str, Any]:
    """Return the fields of *license_* in the form of `make_license`."""
    plain = {name: getattr(license_, name) for name in ("id", *FIELDS) if name not in LIMITS}
    return plain | {name: getattr(license_.limits, name) for name in LIMITS}


def _dated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* with `expires` as a moment: a day is its beginning in the license's zone."""
    expires = fields.get("expires")
    if not isinstance(expires, str):
        return dict(fields)
    try:
        moment = datetime.fromisoformat(expires)
    except ValueError:
        raise ValueError(f"expires: {expires[:40]!r} is not a day such as 2027-01-01") from None
    zone = _zone(str(fields.get("timezone", "UTC")))
    return {**fields, "expires": moment if moment.tzinfo else moment.replace(tzinfo=zone)}


def _zone(name: str) -> ZoneInfo:
    zone = zone_of(name)
    if zone is None:
        raise ValueError(f"timezone: {name[:80]!r} is not a time zone")
    return zone


def _check_places(table: FixedLicense) -> None:
    if "" in table.models:
        raise ValueError("models: an empty text covers no model; omit it for all models")
    for network in table.networks:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise ValueError(f"networks: {error}") from None
    _zone(table.timezone)
    if table.expires is not None and not 1 < table.expires.year < 9999:
        raise ValueError("expires: is too far away; omit it for a license without an end")
