"""Requests, tokens, money and concurrency of a license, taken before and settled after."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import GatewayError, QuotaSpent, RateLimited
from gateway.exchange import License, Outcome
from gateway.keys import EXCHANGE, METRICS, STATE
from gateway.metrics import Metrics
from gateway.state.memory import MemoryStore
from gateway.state.rules import (
    MINUTE_US,
    NANOS_PER_USD,
    REQUESTS,
    SLACK,
    TOKENS,
    USD,
    Demand,
    Plan,
    Rule,
)
from gateway.state.store import Grant, Spent, StateStore

# SDKs sleep for as long as `retry-after` says; longer waits are told as a spent quota instead.
LONGEST_RETRY_S: Final = 60.0
BYTES_PER_TOKEN: Final = 4
# Larger bodies are mostly media, whose tokens do not follow from their size.
LARGEST_TEXT_BYTES: Final = 131_072

_WORDS: Final = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "requests_per_day": "requests per day",
    "tokens_per_day": "tokens per day",
    "tokens_per_month": "tokens per month",
    "usd_per_day": "USD per day",
    "usd_per_month": "USD per month",
    "concurrent_requests": "requests at once",
}
_HEADERS: Final = {
    unit: tuple(f"x-ratelimit-{what}-{word}" for what in ("limit", "remaining", "reset"))
    for unit, word in ((REQUESTS, "requests"), (TOKENS, "tokens"))
}

# The three header names of a unit, and the indexes of the rules they may tell of.
Shown = list[tuple[tuple[str, ...], list[int]]]


class Habit:
    """What one license's requests usually use: follows a rise at once, a fall slowly."""

    __slots__ = ("output_tokens", "usd")

    def __init__(self, output_tokens: float) -> None:
        self.output_tokens = output_tokens
        self.usd = 1.0

    def learn(self, output_tokens: int, usd: int) -> None:
        """Take one finished request into account."""
        self.output_tokens = _followed(self.output_tokens, output_tokens)
        self.usd = _followed(self.usd, usd)


def _followed(usual: float, seen: float) -> float:
    return usual + (seen - usual) * (0.5 if seen > usual else 0.1)


class Account(NamedTuple):
    """What is kept of one license between its requests."""

    license: License
    plan: Plan
    habit: Habit
    shown: Shown


class RateLimit:
    """Admit what the license's limits allow, and tell in headers where it stands.

    Requests that carry no payload (lists of models) count as requests and nothing else.
    """

    requires = ("license",)
    provides = ()

    @dataclass(frozen=True, slots=True)
    class Options:
        """*output_tokens* are reserved for a license's first request; later ones from habit."""

        output_tokens: int = 1_024

    def __init__(self, options: Options) -> None:
        self._options = options
        # Without a store in the app this process counts for itself.
        self._store: StateStore = MemoryStore()
        self._metrics: Metrics | None = None
        self._accounts: dict[str, Account] = {}

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Count in the store of *app*."""
        self._store = app.get(STATE, self._store)
        self._metrics = app.get(METRICS)
        yield

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take, call on, and settle after the last byte."""
        exchange = request[EXCHANGE]
        account = self._account(exchange.license)
        if not account.plan.rules:
            return await handler(request)
        demand = _demand(request, account.habit) if exchange.carries_payload else Demand()
        grant = await self._store.take(account.plan, demand)
        _tell(exchange.headers, account.shown, grant)
        if grant.refused is not None:
            if self._metrics:
                self._metrics.rate_limited.labels(grant.refused.name).inc()
            raise _refusal(exchange.license, grant.refused, grant.wait_us / 1e6)
        try:
            return await handler(request)
        finally:
            _settle(self._store, grant, account.habit, exchange.outcome)

    def _account(self, license_: License) -> Account:
        known = self._accounts.get(license_.id)
        if known and known.license is license_:
            return known
        # A reload gave the license new limits: what is counted stays, in the store and in habit.
        habit = known.habit if known else Habit(self._options.output_tokens)
        plan = Plan.of(license_)
        account = self._accounts[license_.id] = Account(license_, plan, habit, _shown(plan))
        return account


def _shown(plan: Plan) -> Shown:
    shown = []
    for unit, names in _HEADERS.items():
        indexes = [index for index, rule in enumerate(plan.rules) if rule.unit == unit]
        if indexes:
            shown.append((names, indexes))
    return shown


def _demand(request: web.Request, habit: Habit) -> Demand:
    text_bytes = min(request.content_length or 0, LARGEST_TEXT_BYTES)
    tokens = text_bytes // BYTES_PER_TOKEN + int(habit.output_tokens)
    return Demand(1, max(1, tokens), max(1, int(habit.usd)), 1)


def _settle(store: StateStore, grant: Grant, habit: Habit, outcome: Outcome) -> None:
    usage = outcome.usage
    usd = round((outcome.cost or 0.0) * NANOS_PER_USD)
    if usage is None:
        store.settle(grant, Spent(0, usd))
        return
    store.settle(grant, Spent(usage.total, usd))
    habit.learn(usage.total - usage.prompt, usd)


def _tell(headers: dict[str, str], shown: Shown, grant: Grant) -> None:
    if grant.degraded:
        headers["x-gateway-degraded"] = "limits"
    rules, used = grant.plan.rules, grant.used
    if not rules:
        # The state server is away and everybody is admitted: there is nothing to tell.
        return
    for (limit, remaining, reset), indexes in shown:
        index = indexes[0]
        if len(indexes) > 1:
            index = min(indexes, key=lambda index: rules[index].limit - used[index])
        rule, count = rules[index], used[index]
        headers[limit] = str(rule.limit)
        headers[remaining] = str(max(0, int(rule.limit - count + SLACK)))
        headers[reset] = duration(_reset_s(rule, count, grant))


def _reset_s(rule: Rule, used: float, grant: Grant) -> float:
    if rule.kind == "rate":
        return used * MINUTE_US / rule.limit / 1e6
    windows = grant.windows
    return (windows.day_end if rule.kind == "day" else windows.month_end) - grant.now


def duration(seconds: float) -> str:
    """Write *seconds* as OpenAI does: `120ms`, `1s`, `6m0s`, `23h59m58.5s`."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds > 0 else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    if not minutes:
        return text
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"


def _refusal(license_: License, rule: Rule, wait_s: float) -> GatewayError:
    limit = f"{rule.limit / NANOS_PER_USD:g}" if rule.unit == USD else str(rule.limit)
    said = f"The license {license_.id!r} may use {limit} {_WORDS[rule.name]}"
    if rule.kind == "slots":
        return RateLimited(f"{said}; wait for one of them to end.", retry_after=wait_s)
    if wait_s <= LONGEST_RETRY_S:
        return RateLimited(f"{said}; try again in {duration(wait_s)}.", retry_after=wait_s)
    return QuotaSpent(f"{said}, and they are spent; there is room again in {duration(wait_s)}.")
