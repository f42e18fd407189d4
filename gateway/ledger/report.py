"""Usage reports: sums over the ledger."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, tzinfo
from functools import cache, partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, Select, case, func, or_, select

from gateway.database.engine import Database
from gateway.database.tables import KINDS, USAGE
from gateway.errors import RateLimited
from gateway.exchange import NANOS_PER_USD

GROUPS: Final = ("license", "model", "day")
# So many rows are added up without others having to wait; a busy license has a hundred thousand.
_ROWS_AT_ONCE: Final = 500
# The days of every time zone begin at one of these, so that databases need to know no zones.
_QUARTER_MS: Final = 900_000
_COUNTS: Final = ("prompt", "completion", "cached", "thoughts", "total", *KINDS, "cost_nanos")

# License, model, day.
_Group = tuple[str | None, str | None, str | None]


class Selection(NamedTuple):
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
    database: Database, selection: Selection, by: Collection[str] = GROUPS, zone: tzinfo = UTC
) -> list[Sum]:
    """Sum the requests of *selection* by some of `GROUPS`; days are those of *zone*.

    Raises one of `DatabaseDown`.
    """
    added: dict[_Group, list[int]] = {}
    day_of = cache(partial(_day, zone=zone))
    async with database.reading() as connection:
        result = await connection.stream(_query(selection, by))
        async for rows in result.partitions(_ROWS_AT_ONCE):
            _add_quarters(added, rows, by, day_of)
    # Without groups an empty ledger gives one row of zeros.
    totals = (_sum(group, counts) for group, counts in added.items() if counts[0])
    return sorted(totals, key=_order)


def _query(selection: Selection, by: Collection[str]) -> Select[Any]:
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
    query = query.where(USAGE.c.at >= int(selection.since * 1000)).group_by(*groups)
    if selection.until is not None:
        query = query.where(USAGE.c.at < int(selection.until * 1000))
    if selection.admitted:
        # Upstream refuses this way, too, but only requests admitted here and sent with a
        # credential.
        was_sent = USAGE.c.credential.is_not(None)
        query = query.where(or_(USAGE.c.status != RateLimited.status, was_sent))
    return query if selection.license is None else query.where(USAGE.c.license == selection.license)


def _add_quarters(
    added: dict[_Group, list[int]],
    rows: Iterable[Row[Any]],
    by: Collection[str],
    day_of: Callable[[int], str],
) -> None:
    """Add the quarter hours of *rows*, whose columns are those of `_query`, to their days."""
    names = [name for name in ("license", "model") if name in by]
    has_days = "day" in by
    for row in rows:
        named = dict(zip(names, row, strict=False))
        day = day_of(row[len(names)]) if has_days else None
        group = (named.get("license"), named.get("model"), day)
        counts = [int(count or 0) for count in row[len(names) + has_days :]]
        before = added.get(group)
        added[group] = counts if before is None else [*map(sum, zip(before, counts, strict=True))]


def _sum(group: _Group, counts: list[int]) -> Sum:
    *plain, nanos = counts
    return Sum._make((*group, *plain, nanos / NANOS_PER_USD))


def _day(quarter: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(quarter * _QUARTER_MS / 1000, zone).date().isoformat()


def _order(one: Sum) -> tuple[str, str, str]:
    return one.day or "", one.license or "", one.model or ""
