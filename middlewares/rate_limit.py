"""RateLimit: the requests, tokens, money and concurrency of a license, reserved and settled."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.calls import setting
from gateway.catalog import Catalog
from gateway.errors import Forbidden, Unavailable
from gateway.exchange import BYTES_PER_TOKEN, NANOS_PER_USD, Exchange, License, UpstreamCall, Usage
from gateway.keys import CATALOG, EXCHANGE, METRICS, PRICES, SETTINGS, STATE
from gateway.limit_report import HeaderRules, header_rules_of, refusal, set_headers
from gateway.records.metrics import Metrics
from gateway.records.prices import Prices
from gateway.state.habits import Habits
from gateway.state.memory import MemoryStore
from gateway.state.rules import TOKENS, USD, Amounts, Plan
from gateway.state.store import ActualUse, Grant, StateStore

# Larger bodies are mostly media, whose tokens do not follow from their size.
LARGEST_TEXT_BYTES: Final = 131_072
# Estimated better once the payload is known.
_ESTIMATED: Final = frozenset({TOKENS, USD})
_ESTIMATE: Final = f"{__name__}:TokenEstimate"
_UNFORESEEN: Final = (
    f"without {_ESTIMATE} in the chain, quotas of tokens and USD are overshot by requests that run"
    " and cost more than usual, and models without a price cost nothing"
)
# Without a payload.
_ONE_REQUEST: Final[Amounts] = (1, 0, 0, 0)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Account:
    """The state of one license between its requests; *units* are those that its rules count."""

    license: License
    plan: Plan
    habits: Habits
    header_rules: HeaderRules
    units: frozenset[int]


class Reservation:
    """What a request holds until it is settled; *prompt* is how many tokens it may bring."""

    __slots__ = ("account", "grant", "prompt")

    def __init__(self, account: Account, grant: Grant, prompt: int) -> None:
        self.account = account
        self.grant = grant
        self.prompt = prompt


_RESERVATION: Final = web.RequestKey("reservation", Reservation)


class RateLimit:
    """Admits what the license's limits allow, and reports in headers what is left.

    Requests without a payload (lists of models) count as requests and nothing else.
    """

    requires = ("license",)
    provides = ()

    @dataclass(frozen=True, slots=True)
    class Options:
        """*output_tokens* are reserved for a license's first request; later ones go by habit."""

        output_tokens: int = 1_024

    def __init__(self, options: Options) -> None:
        self._options = options
        # Without a store in the app this process counts by itself.
        self._store: StateStore = MemoryStore()
        self._metrics: Metrics | None = None
        self._accounts: dict[str, Account] = {}

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Count in the store of *app*; warn if no middleware corrects the reservation."""
        self._store = app.get(STATE, self._store)
        self._metrics = app.get(METRICS)
        settings = app.get(SETTINGS)
        if settings is not None and _ESTIMATE not in [one["use"] for one in settings.middlewares]:
            _log.warning("quotas_unforeseen", reason=_UNFORESEEN)
        yield

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Reserve, call the next handler, and settle after the last byte."""
        exchange = request[EXCHANGE]
        account = self._account(exchange.license)
        if not account.plan.rules:
            return await handler(request)
        prompt = _prompt_tokens(request)
        usual = account.habits.usual
        demand = (
            _demand(prompt + usual.output_tokens, usual.usd)
            if exchange.carries_payload
            else _ONE_REQUEST
        )
        try:
            grant = await self._store.take(account.plan, demand)
        except Unavailable:
            exchange.headers["x-gateway-degraded"] = "limits"
            raise
        set_headers(exchange.headers, account.header_rules, grant)
        if grant.refused is not None:
            if self._metrics:
                self._metrics.rate_limited.labels(grant.refused.name).inc()
            raise refusal(exchange.license, grant.refused, grant.wait_us / 1e6)
        reservation = Reservation(account, grant, prompt)
        if exchange.carries_payload and not _ESTIMATED.isdisjoint(account.units):
            request[_RESERVATION] = reservation
        try:
            return await handler(request)
        finally:
            _settle(self._store, reservation, exchange)

    def _account(self, license_: License) -> Account:
        account = self._accounts.get(license_.id)
        if account and account.license is license_:
            return account
        # A reload gave the license new limits: counts stay, in the store and in its habits.
        habits = account.habits if account else Habits(self._options.output_tokens)
        plan = Plan.of(license_)
        units = frozenset(rule.unit for rule in plan.rules)
        account = Account(license_, plan, habits, header_rules_of(plan), units)
        self._accounts[license_.id] = account
        return account


class TokenEstimate:
    """Corrects what `RateLimit` reserved, once the model and the bound of its answer are known.

    `RateLimit` reserves before the body is read, and so by what the license usually uses.
    """

    requires = ("call",)

    def __init__(self) -> None:
        self._store: StateStore | None = None
        self._prices: Prices | None = None
        self._catalog: Catalog | None = None

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Correct in the store of *app*, by its prices."""
        self._store = app.get(STATE)
        self._prices = app.get(PRICES)
        self._catalog = app.get(CATALOG)
        yield

    def __call__(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Reserve as much as the call may use, and call the next handler.

        Raises `Forbidden` for a model whose use no quota in USD could count.
        """
        reservation = request.get(_RESERVATION)
        if reservation is not None and self._store is not None:
            if not reservation.prompt:
                # The length of a chunked body is known only now.
                reservation.prompt = _tokens_of(request.content.total_bytes)
            demand = self._estimate(reservation, request[EXCHANGE].call)
            reserved = reservation.grant.demand
            if _differs(reserved[TOKENS], demand[TOKENS]) or _differs(reserved[USD], demand[USD]):
                reservation.grant = self._store.revise(reservation.grant, demand)
        return handler(request)

    def _estimate(self, reservation: Reservation, call: UpstreamCall) -> Amounts:
        habit = reservation.account.habits.of(call.model)
        prompt = reservation.prompt * call.copies
        output = _most_output(call) or habit.output_tokens
        usd = float(reservation.grant.demand[USD])
        if USD in reservation.account.units and self._prices is not None:
            tier = call.body.get("serviceTier") or call.body.get("service_tier") or ""
            usage = Usage(prompt, int(output), calls=call.copies, tier=str(tier).lower())
            usd = self._cost(self._prices, call.model, usage) * NANOS_PER_USD
        return _demand(prompt + output, usd)

    def _cost(self, prices: Prices, model: str, usage: Usage) -> float:
        cost = prices.cost(model, usage)
        if cost is None and self._catalog is not None:
            # Whether upstream still knows the name is seen only when it is asked.
            cost = prices.cost(self._catalog.replacement(model) or model, usage)
        if cost is None:
            raise Forbidden(
                f"The license has a quota in USD, and the model {model!r} has no price here; the "
                "operator can configure one in [models.prices].",
                param="model",
                code="model_without_price",
            )
        return cost


def _differs(reserved: int, estimated: int) -> bool:
    """Tell whether to correct: never too little is reserved, and at most twice too much."""
    return not reserved // 2 <= estimated <= reserved


def _prompt_tokens(request: web.Request) -> int:
    return _tokens_of(request.content_length or 0)


def _tokens_of(length: int) -> int:
    return (length if length < LARGEST_TEXT_BYTES else LARGEST_TEXT_BYTES) // BYTES_PER_TOKEN


def _most_output(call: UpstreamCall) -> int:
    """Return how many tokens the answers may have in all; 0 where nothing limits them."""
    most: int = setting(call, "maxOutputTokens") or 0
    return most and most * max(call.copies, setting(call, "candidateCount") or 1)


def _demand(tokens: float, usd: float) -> Amounts:
    # `max` would take as long for each of them as all of this.
    return 1, int(tokens) if tokens > 1 else 1, int(usd) if usd > 1 else 1, 1


def _settle(store: StateStore, reservation: Reservation, exchange: Exchange) -> None:
    usage, cost = exchange.outcome.usage, exchange.outcome.cost
    if usage is None:
        store.settle(reservation.grant, ActualUse(0, 0))
        return
    # If another model without a price answered, the reservation counts as spent.
    usd = reservation.grant.demand[USD] if cost is None else int(cost * NANOS_PER_USD + 0.5)
    store.settle(reservation.grant, ActualUse(usage.total, usd))
    model = exchange.call.model if hasattr(exchange, "call") else ""
    reservation.account.habits.learn(model, usage.total - usage.prompt, usd)
