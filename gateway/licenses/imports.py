"""Reads licenses from files, JSON or CSV: own exports, and those of new-api and one-api.

Clients of those gateways present `sk-` and the exported text; the license keeps that key. What has
no counterpart here (a remaining quota, a group) is named in the report and not imported.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from gateway.licenses.exports import is_own, read_row
from gateway.licenses.making import make_license
from gateway.licenses.records import NewLicense

PREFIX: Final = "sk-"
ENABLED: Final = 1
_NEVER: Final = {"", "0", "-1"}
_LISTS: Final = ("data", "items", "tokens", "licenses")
# A group changes prices and models over there; their quotas are spent for good, ours reset.
_NOT_CARRIED: Final = ("remain_quota", "used_quota", "group", "cross_group_retry")
_TRUE: Final = {"1", "true", "t", "yes"}


class Candidate(NamedTuple):
    """One row of a file: a license with its key, or the reason why it is invalid."""

    row: int
    name: str
    new: NewLicense | None = None
    reason: str = ""
    not_carried: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Return the license's id, empty if there is none."""
        return "" if self.new is None else self.new.license.id


def candidates(text: str, is_taken: Callable[[str], bool]) -> Iterator[Candidate]:
    """Yield each row of *text*; *is_taken* tells whether an id is in use. Raises `ValueError`."""
    new_ids: set[str] = set()
    for number, row in enumerate(_rows(text), 1):
        name = str(row.get("name") or row.get("id") or "") if isinstance(row, dict) else ""
        if not isinstance(row, dict):
            yield Candidate(number, name, reason="not an object")
            continue
        try:
            candidate = (
                Candidate(number, name, read_row(row))
                if is_own(row)
                else _candidate(number, name, row, lambda id_: id_ in new_ids or is_taken(id_))
            )
        except ValueError as error:
            yield Candidate(number, name, reason=str(error))
        else:
            new_ids.add(candidate.id)
            yield candidate


def _candidate(
    number: int, name: str, row: dict[str, Any], is_taken: Callable[[str], bool]
) -> Candidate:
    key = str(row.get("key") or "").strip()
    if not key:
        raise ValueError("key: is missing")
    if "*" in key or not key.isprintable():
        raise ValueError("key: is masked; export the tokens with their whole keys")
    key = key if key.startswith(PREFIX) else PREFIX + key
    fields = {
        "id": _id(name, key, is_taken),
        "owner": str(row.get("user_id") or row.get("username") or ""),
        "note": name,
        "models": _models(row),
        "networks": _listed(row.get("allow_ips") or row.get("subnet")),
        "expires": _expires(row.get("expired_time")),
        "disabled": str(row.get("status") or ENABLED) != str(ENABLED),
    }
    not_carried = tuple(field for field in _NOT_CARRIED if _worth_telling(row, field))
    return Candidate(number, name, NewLicense(make_license(fields), key), not_carried=not_carried)


def _rows(text: str) -> list[Any]:
    text = text.lstrip("\ufeff \r\n")
    if not text.startswith(("[", "{")):
        reader = csv.DictReader(io.StringIO(text, newline=""))
        names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if not {"key", "keys"} & set(names):
            raise ValueError("neither JSON nor CSV with a column named key")
        reader.fieldnames = names
        return list(reader)
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    while isinstance(tree, dict):
        inner = next((tree[name] for name in _LISTS if name in tree), None)
        if inner is None:
            raise ValueError("the JSON holds no list of tokens")
        tree = inner
    if isinstance(tree, list):
        return tree
    raise ValueError("the JSON holds no list of tokens")


def _id(name: str, key: str, is_taken: Callable[[str], bool]) -> str:
    """Return an id made from *name*; equal names are distinguished by the end of their key."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:48]
    if plain and not is_taken(plain):
        return plain
    ending = re.sub(r"[^A-Za-z0-9]", "", key)[-4:]
    id_ = f"{plain or 'token'}-{ending}"
    return id_ if not is_taken(id_) else f"{id_}-{sha256(key.encode()).hexdigest()[:8]}"


def _models(row: dict[str, Any]) -> list[str]:
    if "model_limits_enabled" in row and not _true(row["model_limits_enabled"]):
        return []
    return _listed(row.get("model_limits") or row.get("models"))


def _listed(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    return [one for one in re.split(r"[\s,;]+", str(value or "")) if one]


def _expires(value: Any) -> datetime | None:
    text = str(value if value is not None else "").strip()
    if text in _NEVER:
        return None
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expired_time: {text[:40]!r} is not a time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _worth_telling(row: dict[str, Any], field: str) -> bool:
    if field == "remain_quota" and _true(row.get("unlimited_quota", False)):
        return False
    return str(row.get(field) or "").strip().lower() not in {"", "0", "default", "false"}


def _true(value: Any) -> bool:
    return str(value).strip().lower() in _TRUE
