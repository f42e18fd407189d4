"""License files in the gateway's own form: a list of flat rows, as JSON or CSV, and back.

Nothing is lost, so that an export can be imported into another database. Keys are present as
digests only, which need the pepper they were made with: each row holds a check value of it, and the
pepper itself if requested.
"""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from gateway.licenses.making import fields_of, make_license
from gateway.licenses.pepper import check_value
from gateway.licenses.records import NewLicense, StoredKey, StoredLicense

# The fields that are lists; in a cell of CSV they are JSON.
_LISTS: Final = ("models", "networks", "keys")
_MADE_BESIDE: Final = {"created", "keys", "pepper", "pepper_check"}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def is_own(row: dict[str, Any]) -> bool:
    """Tell whether *row* has this form."""
    return "keys" in row


def to_row(stored: StoredLicense) -> dict[str, Any]:
    """Return *stored* as a flat object."""
    keys = [key._asdict() for key in stored.keys]
    return fields_of(stored.license) | {"created": stored.created, "keys": keys}


def to_rows(
    licenses: Iterable[StoredLicense], pepper: bytes, *, with_pepper: bool
) -> list[dict[str, Any]]:
    """Return the rows of *licenses*, whose digests were made with *pepper*."""
    pepper_fields = {"pepper_check": check_value(pepper)}
    if with_pepper:
        pepper_fields["pepper"] = pepper.decode()
    return [to_row(stored) | pepper_fields for stored in licenses]


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return *rows* as CSV, with a header line even when there are none."""
    text = io.StringIO()
    names = list(rows[0]) if rows else ["id", "keys"]
    # Unquoted, a bare carriage return would be read back as the end of a row.
    writer = csv.DictWriter(text, names, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def read_row(row: dict[str, Any]) -> NewLicense:
    """Read *row* back. Raises `ValueError` naming the field."""
    lists = {name: _listed(name, row.get(name)) for name in _LISTS}
    # An empty cell of CSV is a field without a value.
    fields = {name: value for name, value in row.items() if value is not None and value != ""}
    keys = tuple(map(_key, lists.pop("keys")))
    if not keys:
        raise ValueError("keys: there are none")
    check = fields.get("pepper_check")
    if not isinstance(check, str):
        raise ValueError("pepper_check: is missing")  # noqa: TRY004 - a fault of the file
    license_fields = {name: value for name, value in fields.items() if name not in _MADE_BESIDE}
    return NewLicense(
        make_license(license_fields | lists),
        keys=keys,
        created=_moment("created", fields.get("created")),
        pepper_check=check,
        pepper=str(fields.get("pepper", "")),
    )


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return orjson.dumps(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else value


def _listed(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) and value:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError(f"{name}: is not a list in JSON") from None
    value = value or []
    if not isinstance(value, list):
        raise ValueError(f"{name}: is not a list")  # noqa: TRY004 - a fault of the file
    return value


def _key(value: Any) -> StoredKey:
    digest = value.get("digest") if isinstance(value, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("keys: a digest is not a SHA-256 in hex")
    expires, created = value.get("expires"), value.get("created")
    return StoredKey(
        digest,
        None if expires is None else _moment("keys", expires),
        _moment("keys", created),
    )


def _moment(name: str, value: Any) -> int:
    try:
        moment = int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {str(value)[:40]!r} is not a time in seconds") from None
    if not 0 <= moment < 250_000_000_000:
        raise ValueError(f"{name}: {moment} is not a time in seconds")
    return moment
