"""Usage reports: sums over the ledger."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, Select, case, func, or_, select

from gateway.database.engine import Database
from gateway.database.tables import KINDS, USAGE
from gateway.errors import RateLimited

GROUPS: Final = ("license", "model", "day")
NANOS_PER_USD: Final = 1_000_000_000
# The days of every time zone begin at one of these, so that databases need to know no zones.
_QUARTER_MS: Final = 900_000
_COUNTS: Final = ("prompt", "completion", "cached", "thoughts", "total", *KINDS, "cost_nanos")

# License, model, day.
_Group = tuple[str | None, str | None, str | None]


class Span(NamedTuple):
    """The requests from *since* (included) to *until* (excluded), Unix seconds, of *license*.

    With *admitted* those that limits refused are left out.
    """

    since: float
    until: float | None = None
    license: str | None = None
    admitted: bool = False


class Sum(NamedTuple):
    """The usage of the requests of one group; fields they are not grouped by are None."""

    license: str | None
    model: str | None
    day: str | None
    requests: int
    errors: int
    prompt: int
    completion: int
    cached: int
    thoughts: int
    total: int
    audio_input: int
    image_input: int
    audio_output: int
    image_output: int
    video_output: int
    searches: int
    usd: float


async def sums(
    database: Database, span: Span, by: Collection[str] = GROUPS, zone: tzinfo = UTC
) -> list[Sum]:
    """Sum the requests of *span* by some of `GROUPS`; days are those of *zone*.

    Raises one of `DatabaseDown`.
    """
    async with database.reading() as connection:
        rows = (await connection.execute(_query(span, by))).all()
    return _merge_quarters(rows, by, zone)


def _query(span: Span, by: Collection[str]) -> Select[Any]:
    groups: list[Any] = [USAGE.c[name] for name in ("license", "model") if name in by]
    if "day" in by:
        groups.append((USAGE.c.at // _QUARTER_MS).label("quarter"))
    has_failed = case((USAGE.c.status >= 400, 1), else_=0)
    query = select(
        *groups,
        func.count().label("requests"),
        func.sum(has_failed).label("errors"),
        *(func.sum(USAGE.c[name]).label(name) for name in _COUNTS),
    )
    query = query.where(USAGE.c.at >= int(span.since * 1000)).group_by(*groups)
    if span.until is not None:
        query = query.where(USAGE.c.at < int(span.until * 1000))
    if span.admitted:
        # Upstream refuses this way, too, but only requests admitted here and sent with a
        # credential.
        was_sent = USAGE.c.credential.is_not(None)
        query = query.where(or_(USAGE.c.status != RateLimited.status, was_sent))
    return query if span.license is None else query.where(USAGE.c.license == span.license)


def _merge_quarters(rows: Iterable[Row[Any]], by: Collection[str], zone: tzinfo) -> list[Sum]:
    """Add up the quarter hours of each day."""
    added: dict[_Group, list[int]] = {}
    for row in rows:
        names = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
        day = _day(names["quarter"], zone) if "day" in by else None
        group = (names.get("license"), names.get("model"), day)
        counts = [int(names[name] or 0) for name in ("requests", "errors", *_COUNTS)]
        before = added.get(group)
        added[group] = counts if before is None else [*map(sum, zip(before, counts, strict=True))]
    # Without groups an empty ledger gives one row of zeros.
    totals = (_sum(group, counts) for group, counts in added.items() if counts[0])
    return sorted(totals, key=_order)


def _sum(group: _Group, counts: list[int]) -> Sum:
    *plain, nanos = counts
    return Sum._make((*group, *plain, nanos / NANOS_PER_USD))


def _day(quarter: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(quarter * _QUARTER_MS / 1000, zone).date().isoformat()


def _order(one: Sum) -> tuple[str, str, str]:
    return one.day or "", one.license or "", one.model or ""
