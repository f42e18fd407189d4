"""What a store offers, whatever keeps it."""

from typing import NamedTuple, Protocol

from gateway.state.calendar import Windows
from gateway.state.rules import Demand, Plan, Rule


class Spent(NamedTuple):
    """What a request really used; *usd* in billionths."""

    tokens: int = 0
    usd: int = 0


class Grant(NamedTuple):
    """The answer to a take: admitted unless *refused* names a rule.

    *used* is parallel to the plan's rules and tells how much of each is used now, this request
    included if it was admitted. *wait_us* is until the refused rule has room. *now* is the store's
    time in Unix seconds. *slot* names the held slot, where one is held.
    """

    plan: Plan
    demand: Demand
    windows: Windows
    now: float
    used: tuple[float, ...]
    refused: Rule | None = None
    wait_us: float = 0.0
    slot: str = ""
    degraded: bool = False


class StateStore(Protocol):
    """Counters of licenses; `gateway.state.memory` and `gateway.state.valkey` bind it."""

    async def take(self, plan: Plan, demand: Demand) -> Grant:
        """Check all rules of *plan*, then take *demand* from all of them, in one atomic step."""

    def settle(self, grant: Grant, spent: Spent) -> None:
        """Book what an admitted request really used and give back its slot; never waits."""
