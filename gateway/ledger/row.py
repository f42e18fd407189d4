"""One row of the ledger, as it is booked and as it is written."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from gateway.database.tables import KINDS, USAGE
from gateway.exchange import NANOS_PER_USD, Exchange, Usage

# A row to be written: the columns of the table `usage`, mostly without `KINDS`.
Row = dict[str, Any]

_NO_USAGE: Final = Usage()
_LONGEST_TEXT: Final = 128
_COLUMNS: Final = tuple(column.name for column in USAGE.c if column.name not in KINDS)
_NEEDED: Final = frozenset(column.name for column in USAGE.c if not column.nullable)
# Sums over millions of rows still fit a BIGINT, whatever upstream counted.
_LARGEST: Final = 2**40


class LedgerRow(NamedTuple):
    """What one request used; *at* and *milliseconds* in milliseconds, *cost* in USD."""

    at: int
    id: str
    license: str
    requested_model: str | None
    model: str | None
    credential: str | None
    usage: Usage
    cost: float | None
    milliseconds: int
    status: int
    finish: str | None
    error: str | None


def row_of(exchange: Exchange, at: float, seconds: float) -> LedgerRow | None:
    """Return the row of a finished *exchange* that ended *at* (Unix seconds) and took *seconds*.

    None for one that did not ask for anything to be generated, or came without a license.
    """
    if not exchange.carries_payload or not hasattr(exchange, "license"):
        return None
    outcome = exchange.outcome
    error = outcome.error
    return LedgerRow(
        int(at * 1000),
        exchange.id,
        exchange.license.id,
        exchange.requested_model if hasattr(exchange, "requested_model") else None,
        outcome.model or (exchange.call.model if hasattr(exchange, "call") else None),
        outcome.credential,
        outcome.usage or _NO_USAGE,
        outcome.cost,
        int(seconds * 1000),
        outcome.status,
        outcome.finish_reason,
        None if error is None else error.code,
    )


def to_row(key: str, row: LedgerRow) -> Row:
    """Return the columns of *row*, acceptable to any database; *key* makes writing idempotent."""
    # By index: reading the fields of a named tuple by name takes ten times as long.
    at, id_, license_, requested_model, model, credential, usage, cost, milliseconds, status = row[
        :10
    ]
    finish, error = row[10:]
    texts = (
        id_,
        license_,
        requested_model or "",
        model or "",
        credential or "",
        finish or "",
        error or "",
    )
    if not _is_plain("".join(texts)):
        id_, license_ = _text(id_) or "", _text(license_) or ""
        requested_model, model, credential = _text(requested_model), _text(model), _text(credential)
        finish, error = _text(finish), _text(error)
    columns = {
        "key": key,
        "at": at,
        "id": id_,
        "license": license_,
        "asked": requested_model,
        "model": model,
        "credential": credential,
        "prompt": _number(usage.prompt),
        "completion": _number(usage.completion),
        "cached": _number(usage.cached),
        "thoughts": _number(usage.thoughts),
        "total": _number(usage.total),
        "cost_nanos": None if cost is None else _nanos(cost),
        "milliseconds": milliseconds,
        "status": status,
        "finish": finish,
        "error": error,
    }
    if (
        usage.audio_input
        or usage.image_input
        or usage.audio_output
        or usage.image_output
        or usage.video_output
        or usage.searches
        or usage.maps
    ):
        columns |= _kinds(usage)
    return columns


def by_columns(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield *rows* in groups with the same columns; rows of plain text lack `KINDS`."""
    with_kinds = [row for row in rows if KINDS[0] in row]
    if with_kinds:
        yield with_kinds
        rows = [row for row in rows if KINDS[0] not in row]
    if rows:
        yield rows


def _kinds(usage: Usage) -> Row:
    kinds = {name: _number(getattr(usage, name)) for name in KINDS}
    return kinds | {"searches": _number(usage.searches + usage.maps)}


def from_stored(row: object) -> Row | None:
    """Return *row*, read from a file or a stream, in the form of the table; None if it is no row.

    Another version of the gateway may have written it: unknown columns are left out.
    """
    if not isinstance(row, dict) or not _NEEDED.issubset(row):
        return None
    kinds = {name: row.get(name) for name in KINDS} if KINDS[0] in row else {}
    return {name: row.get(name) for name in _COLUMNS} | kinds


def _text(text: str | None) -> str | None:
    """Return *text* without what PostgreSQL refuses (NUL) or cannot encode, and cut to size."""
    if text is None or _is_plain(text):
        return text
    return text[:_LONGEST_TEXT].replace("\0", "").encode("utf-8", "replace").decode()


def _is_plain(text: str) -> bool:
    return len(text) <= _LONGEST_TEXT and text.isascii() and "\0" not in text


def _nanos(usd: float) -> int:
    if not 0 <= usd < _LARGEST / NANOS_PER_USD:
        return 0 if usd < 0 else _LARGEST
    return int(usd * NANOS_PER_USD + 0.5)


def _number(number: int) -> int:
    if number < 0:
        return 0
    return number if number < _LARGEST else _LARGEST
