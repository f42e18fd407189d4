"""Day and month quotas after a start: the counters begin where the ledger says they stood."""

import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from gateway.database.engine import Database, DatabaseDown, told
from gateway.exchange import License
from gateway.ledger.report import NANOS_PER_USD, Span, Sum, sums
from gateway.state.rules import Plan
from gateway.state.store import StateStore

_READ: Final[dict[str, Callable[[Sum], int]]] = {
    "requests": lambda used: used.requests,
    "tokens": lambda used: used.total,
    "usd": lambda used: round(used.usd * NANOS_PER_USD),
}

_log = structlog.get_logger("gateway")


class QuotaSeeder:
    """Tells the store what licenses have used of their quotas; called at start and never raises.

    *licenses* gives those that exist now, *wall* Unix seconds.
    """

    __slots__ = ("_database", "_licenses", "_store", "_wall")

    def __init__(
        self,
        database: Database,
        licenses: Callable[[], Iterable[License]],
        store: StateStore,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._licenses = licenses
        self._store = store
        self._wall = wall

    async def __call__(self) -> None:
        """Seed every license that has a quota."""
        try:
            for license_ in list(self._licenses()):
                plan = Plan.of(license_)
                spent = await self._spent(plan)
                if spent:
                    await self._store.seed(plan, spent)
        except DatabaseDown as error:
            _log.warning("quotas_not_seeded", reason=told(error))

    async def _spent(self, plan: Plan) -> dict[str, int]:
        """Give what was used of each quota of *plan*, by the rule's name; USD in billionths."""
        windows = plan.calendar.at(self._wall())
        starts = {"day": windows.day_start, "month": windows.month_start}
        used: dict[str, list[Sum]] = {}
        spent = {}
        for rule in plan.rules:
            kind = rule.kind
            if kind in starts:
                if kind not in used:
                    span = Span(starts[kind], license=plan.license_id, admitted=True)
                    used[kind] = await sums(self._database, span, ())
                read = _READ[rule.name.partition("_")[0]]
                spent[rule.name] = sum(map(read, used[kind]))
        return spent
