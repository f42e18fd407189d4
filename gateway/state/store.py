"""The interfaces of stores, whatever implements them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.settings import Settings
from gateway.state.calendar import Windows
from gateway.state.rules import Amounts, Plan, Rule


@dataclass(slots=True)
class ActualUse:
    """What a request really used; *usd* is in billionths."""

    tokens: int = 0
    usd: int = 0


# No named tuple, unlike its siblings: reading its fields by name takes ten times as long.
@dataclass(slots=True)
class Grant:
    """The answer to a take: admitted unless *refused* names a rule.

    *used* is parallel to the plan's rules and says how much of each is used now, this request
    included if it was admitted. *wait_us* is the time until the refused rule has room. *now* is the
    store's time in Unix seconds. *slot* names the slot that is held, if any.
    """

    plan: Plan
    demand: Amounts
    windows: Windows
    now: float
    used: tuple[float, ...]
    refused: Rule | None = None
    wait_us: float = 0.0
    slot: str = ""
    degraded: bool = False


# Called with what another process published: key, value, remaining seconds.
News = Callable[[str, bytes, float], None]
# Publishes key, value and seconds to the other processes; never waits.
Publish = Callable[[str, bytes, float], None]


# Seeds what is known to be spent; called when a store opens and whenever its server is back. Never
# raises.
Seeder = Callable[[], Awaitable[None]]


class StoreDown(Exception):
    """The state server does not answer."""


class NotDone(StoreDown):
    """The command has not reached the state server, or was refused as a whole."""


class StateStore(Protocol):
    """The counters of licenses, and small facts that were learned.

    `memory` and `valkey` implement it; `guarded` keeps the latter usable while its server is down.
    """

    seeders: list[Seeder]

    @property
    def degraded(self) -> bool:
        """Tell whether limits are not shared now although they should be."""

    async def check(self) -> str | None:
        """Return the reason why requests cannot be served, or None; for `/readyz`."""

    async def reload(self, settings: Settings) -> None:
        """Apply the settings that may change at run time."""

    async def open(self) -> None:
        """Connect; a server that is down is no error."""

    async def close(self) -> None:
        """Send what is pending and release everything."""

    async def take(self, plan: Plan, demand: Amounts) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them, in one atomic step."""

    def revise(self, grant: Grant, demand: Amounts) -> Grant:
        """Reserve *demand* instead of what an admitted request reserved; never waits or refuses.

        *demand* is of the same units. Returns the grant to be settled, mostly the same one.
        """

    def settle(self, grant: Grant, use: ActualUse) -> None:
        """Book what an admitted request really used and give back its slot; never waits."""

    def now(self) -> float:
        """Return the Unix time that days and months are counted by."""

    async def seed(self, plan: Plan, spent: Mapping[str, int]) -> None:
        """Raise the day's and month's use, by names of `Limits`, to *spent* where less was counted.

        For stores that forget what the ledger knows; USD in billionths.
        """

    def table(self, name: str, news: News, /) -> Publish:
        """Join the table *name* and return its publisher; *news* follows within seconds."""


class ValueStore(Protocol):
    """Values that processes share, such as memories of conversations; `valkey` implements it."""

    async def get(self, keys: list[str]) -> list[bytes | None]:
        """Return the values of *keys*; None for each that is unknown or unavailable now."""

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep *value* for *ttl_s* seconds; never waits, lost while the server is down."""

    def note_values(self, owner: str, ttl_s: float) -> None:
        """Tell all processes that values of the license *owner* are kept for *ttl_s* seconds."""

    def may_have_values(self, owner: str) -> bool:
        """Tell whether values of the license *owner* may be kept; if not, do not `get` them."""
