"""Day and month quotas after a start: the counters begin where the ledger says they stood."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from gateway.database.engine import Database, DatabaseDown, error_text
from gateway.exchange import NANOS_PER_USD, License
from gateway.ledger.report import Selection, Sum, sums
from gateway.state.rules import Plan
from gateway.state.store import StateStore

_AMOUNT_OF: Final[dict[str, Callable[[Sum], int]]] = {
    "requests": lambda used: used.requests,
    "tokens": lambda used: used.total,
    "usd": lambda used: round(used.usd * NANOS_PER_USD),
}

RETRY_S: Final = 1.0

_log = structlog.get_logger()


async def _nothing_waits() -> bool:
    return True


class QuotaSeeder:
    """Tells the store what licenses have used of their quotas; called at start, never raises.

    *licenses* returns those known now. *prepare* writes the rows that wait, and tells whether that
    worked; *knows_all* tells whether the database's licenses are known.
    """

    __slots__ = (
        "_database",
        "_licenses",
        "_retry",
        "_store",
        "knows_all",
        "prepare",
        "retry_s",
    )

    def __init__(
        self,
        database: Database,
        licenses: Callable[[], Iterable[License]],
        store: StateStore,
    ) -> None:
        self._database = database
        self._licenses = licenses
        self._store = store
        self._retry: asyncio.Task[None] | None = None
        self.prepare: Callable[[], Awaitable[bool]] = _nothing_waits
        self.knows_all: Callable[[], bool] = lambda: True
        self.retry_s = RETRY_S

    async def __call__(self) -> None:
        """Seed every license with a quota; continue in the background with what must wait."""
        knows_all = self.knows_all()
        waiting = "" if await self.prepare() else "the database does not accept the rows that wait"
        reason = await self._seed_all() or waiting
        if reason:
            _log.warning("quotas_not_seeded", reason=reason)
        if (reason or not knows_all) and (self._retry is None or self._retry.done()):
            self._retry = asyncio.create_task(self._seed_later(is_seeded=not reason))

    async def close(self) -> None:
        """Stop seeding."""
        if self._retry is not None:
            self._retry.cancel()
            await asyncio.gather(self._retry, return_exceptions=True)

    async def _seed_later(self, *, is_seeded: bool) -> None:
        """Seed as soon as the database answers, and once more when all licenses are known."""
        is_over = False
        while not is_over:
            await asyncio.sleep(self.retry_s)
            knows_all = self.knows_all()
            if (knows_all or not is_seeded) and await self.prepare():
                is_seeded = not await self._seed_all()
                is_over = is_seeded and knows_all
        _log.info("quotas_seeded")

    async def _seed_all(self) -> str:
        """Seed, and return the reason if that is impossible now."""
        try:
            for license_ in list(self._licenses()):
                plan = Plan.of(license_)
                spent = await self._used_of_quotas(plan)
                if spent:
                    await self._store.seed(plan, spent)
        except DatabaseDown as error:
            return error_text(error)
        return ""

    async def _used_of_quotas(self, plan: Plan) -> dict[str, int]:
        """Return the use of each quota of *plan*, by the rule's name; USD in billionths."""
        # By the clock that the days are counted by: near midnight ours may still see yesterday.
        windows = plan.calendar.at(self._store.now())
        starts = {"day": windows.day_start, "month": windows.month_start}
        used: dict[str, list[Sum]] = {}
        spent = {}
        for rule in plan.rules:
            kind = rule.kind
            if kind in starts:
                if kind not in used:
                    selection = Selection(starts[kind], license=plan.license_id, admitted=True)
                    used[kind] = await sums(self._database, selection, ())
                amount_of = _AMOUNT_OF[rule.name.partition("_")[0]]
                spent[rule.name] = sum(map(amount_of, used[kind]))
        if plan.calendar.at(self._store.now()) != windows:
            # Midnight passed meanwhile.
            return await self._used_of_quotas(plan)
        return spent
