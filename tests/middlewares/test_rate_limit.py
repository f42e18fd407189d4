"""The chain's guard of limits, with the store in memory and a real aiohttp server around it."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from gateway.errors import GatewayError, Unavailable
from gateway.exchange import Exchange, License, Limits, UpstreamCall, Usage
from gateway.keys import EXCHANGE, METRICS, PRICES, STATE
from gateway.records.metrics import Metrics
from gateway.records.prices import Prices
from gateway.settings import Price, Settings
from gateway.state.memory import MemoryStore
from gateway.state.rules import Plan
from middlewares.rate_limit import RateLimit, TokenEstimate
from tests.faults.scripted import LAST, STALL, ScriptedUpstream, answer
from tests.running import LICENSE, settings_for


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class House:
    """An application with nothing in its chain but `RateLimit`, and one license."""

    def __init__(self, clock: Clock, **limits: Any) -> None:
        self.license = License("alice", limits=Limits(**limits))
        self.usage: Usage | None = None
        self.cost: float | None = None
        self.gate: asyncio.Event | None = None
        self.inside = 0
        self.entered, self.left = asyncio.Event(), asyncio.Event()
        limiter = RateLimit(RateLimit.Options())
        self.app = web.Application(middlewares=[self.edge, web.middleware(limiter)])
        self.app[STATE] = MemoryStore(clock, clock)
        self.app[METRICS] = Metrics()
        self.app.cleanup_ctx.append(limiter.lifespan)
        self.app.router.add_get("/models", self.handler)
        self.app.router.add_post("/chat", self.handler)

    @web.middleware
    async def edge(self, request: web.Request, handler: Any) -> web.StreamResponse:
        exchange = Exchange("x", None, 0.0, carries_payload=request.method == "POST")
        exchange.license = self.license
        request[EXCHANGE] = exchange
        try:
            response = await handler(request)
        except asyncio.CancelledError:
            self.left.set()
            raise
        except GatewayError as error:
            response = web.json_response(
                {"kind": type(error).__name__, "message": error.message, "wait": error.retry_after},
                status=error.status,
            )
        response.headers.update(exchange.headers)
        return response

    async def handler(self, request: web.Request) -> web.Response:
        self.inside += 1
        self.entered.set()
        if self.gate is not None and request.method == "POST":
            await self.gate.wait()
        request[EXCHANGE].outcome.usage = self.usage
        request[EXCHANGE].outcome.cost = self.cost
        return web.Response()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def serve():
    clients = []

    async def start(house: House) -> TestClient:
        client = TestClient(TestServer(house.app))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


async def test_exactly_the_limit_of_many_requests_in_one_minute_is_admitted(clock, serve):
    client = await serve(House(clock, requests_per_minute=7))
    answers = await asyncio.gather(*(client.post("/chat") for _ in range(70)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [429] * 63


async def test_requests_flow_back_evenly_over_the_minute(clock, serve):
    client = await serve(House(clock, requests_per_minute=60))
    for _ in range(60):
        assert (await client.get("/models")).status == 200
    refused = await client.get("/models")
    assert await refused.json() == {
        "kind": "RateLimited",
        "message": "The license 'alice' may use 60 requests per minute; try again in 1s.",
        "wait": pytest.approx(1.0),
    }
    clock.now += 1.0
    assert [(await client.get("/models")).status for _ in range(2)] == [200, 429]


async def test_headers_tell_limit_remaining_and_reset_in_the_form_openai_uses(clock, serve):
    house = House(clock, requests_per_minute=60, tokens_per_minute=60_000)
    house.usage = Usage(prompt=10, completion=10, total=20)
    client = await serve(house)
    first = await client.post("/chat", data=b"x" * 400)
    assert {k: v for k, v in first.headers.items() if k.lower().startswith("x-ratelimit")} == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "60000",
        "x-ratelimit-remaining-tokens": str(60_000 - 1_124),
        "x-ratelimit-reset-tokens": "1.124s",
    }
    models = await client.get("/models")
    assert models.headers["x-ratelimit-remaining-tokens"] == str(60_000 - 20)


async def test_of_a_large_body_only_so_much_is_reserved_as_text_has(clock, serve):
    """The rest is media, whose tokens do not follow from their size."""
    client = await serve(House(clock, tokens_per_minute=100_000))
    left = []
    for length in (131_072, 800_000):
        clock.now += 60.0
        answer = await client.post("/chat", data=b"x" * length)
        left.append(int(answer.headers["x-ratelimit-remaining-tokens"]))
    assert left == [100_000 - 131_072 // 4 - 1_024] * 2


async def test_of_several_limits_the_headers_tell_the_one_with_the_least_left(clock, serve):
    client = await serve(House(clock, requests_per_minute=5, requests_per_day=3))
    answers = [await client.get("/models") for _ in range(2)]
    left = [
        (
            answer.headers["x-ratelimit-limit-requests"],
            answer.headers["x-ratelimit-remaining-requests"],
        )
        for answer in answers
    ]
    assert left == [("3", "2"), ("3", "1")]


@pytest.mark.parametrize(
    ("limit", "reset"), [("requests_per_day", "10h13m20s"), ("tokens_per_month", "466h13m20s")]
)
async def test_headers_tell_when_the_window_of_a_quota_ends(clock, serve, limit, reset):
    # The clock stands on 12 January 1970 at 13:46:40.
    client = await serve(House(clock, **{limit: 9}))
    answer = await client.post("/chat")
    unit = limit.partition("_")[0]
    assert answer.headers[f"x-ratelimit-reset-{unit}"] == reset


async def test_refusals_are_counted_by_limit(clock, serve):
    house = House(clock, requests_per_minute=1)
    client = await serve(house)
    for _ in range(3):
        await client.get("/models")
    text = await house.app[METRICS].render()
    assert b'gateway_rate_limited_total{limit="requests_per_minute"} 2.0' in text


class Degraded(MemoryStore):
    """A store whose server is away."""

    async def take(self, plan, demand):
        return replace(await super().take(plan, demand), degraded=True)


async def test_counting_alone_is_told_in_a_header(clock, serve):
    house = House(clock, requests_per_minute=1)
    house.app[STATE] = Degraded(clock, clock)
    client = await serve(house)
    answers = [await client.get("/models") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert [answer.headers["x-gateway-degraded"] for answer in answers] == ["limits"] * 2


class Denying(MemoryStore):
    """A store whose server is away, and whose policy is to deny."""

    async def take(self, plan, demand):
        raise Unavailable("no", retry_after=1.0)


async def test_that_limits_cannot_be_checked_is_told_in_a_header_too(clock, serve):
    house = House(clock, requests_per_minute=1)
    house.app[STATE] = Denying(clock, clock)
    answer = await (await serve(house)).get("/models")
    assert answer.status == 503
    assert answer.headers["x-gateway-degraded"] == "limits"


async def test_a_license_without_limits_is_served_while_limits_cannot_be_checked(clock, serve):
    house = House(clock)
    house.app[STATE] = Denying(clock, clock)
    answer = await (await serve(house)).post("/chat")
    assert answer.status == 200
    assert "x-gateway-degraded" not in answer.headers


class Allowing(MemoryStore):
    """A store whose server is away, and whose policy is to allow."""

    async def take(self, plan, demand):
        grant = await super().take(plan.without_rules(), demand)
        return replace(grant, degraded=True)


async def test_where_everybody_is_allowed_nothing_is_told_of_limits(clock, serve):
    house = House(clock, requests_per_minute=1, tokens_per_minute=1)
    house.usage = Usage(total=50)
    house.app[STATE] = Allowing(clock, clock)
    client = await serve(house)
    answers = [await client.post("/chat") for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert {answer.headers["x-gateway-degraded"] for answer in answers} == {"limits"}
    assert not [name for name in answers[0].headers if name.lower().startswith("x-ratelimit")]


async def test_refusals_carry_the_same_headers(clock, serve):
    client = await serve(House(clock, requests_per_minute=1))
    await client.get("/models")
    refused = await client.get("/models")
    assert refused.status == 429
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"] == "1m0s"


async def test_only_the_allowed_number_runs_at_once_and_an_end_makes_room(clock, serve):
    house = House(clock, concurrent_requests=3)
    house.gate = asyncio.Event()
    client = await serve(house)
    running = {asyncio.ensure_future(client.post("/chat")) for _ in range(30)}
    refused = []
    while len(running) > 3:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        refused += [task.result() for task in done]
    assert {answer.status for answer in refused} == {429}
    assert "wait for one of them to end" in (await refused[0].json())["message"]
    assert house.inside == 3
    house.gate.set()
    assert [answer.status for answer in await asyncio.gather(*running)] == [200] * 3
    assert (await client.post("/chat")).status == 200


async def test_a_client_that_leaves_gives_its_slot_back(clock, serve):
    house = House(clock, concurrent_requests=1)
    house.gate = asyncio.Event()
    client = await serve(house)
    task = asyncio.ensure_future(client.post("/chat"))
    await house.entered.wait()
    task.cancel()
    await house.left.wait()
    house.gate = None
    assert (await client.post("/chat")).status == 200


async def test_lists_of_models_need_neither_a_slot_nor_tokens(clock, serve):
    house = House(clock, concurrent_requests=1, tokens_per_minute=10)
    house.usage = Usage(total=1_000)
    client = await serve(house)
    await client.post("/chat")
    assert (await client.post("/chat")).status == 429
    assert (await client.get("/models")).status == 200


async def test_tokens_are_settled_by_real_usage(clock, serve):
    house = House(clock, tokens_per_minute=100)
    house.usage = Usage(prompt=10, completion=20, total=30)
    client = await serve(house)
    statuses = [(await client.post("/chat")).status for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 429]


async def test_a_failed_request_costs_no_tokens(clock, serve):
    client = await serve(House(clock, tokens_per_minute=100))
    assert [(await client.post("/chat")).status for _ in range(5)] == [200] * 5


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"requests_per_day": 1}, "1 requests per day"),
        ({"tokens_per_day": 30}, "30 tokens per day"),
        ({"tokens_per_month": 30}, "30 tokens per month"),
        ({"usd_per_day": 0.5}, "0.5 USD per day"),
        ({"usd_per_month": 0.5}, "0.5 USD per month"),
    ],
)
async def test_a_spent_quota_is_told_without_retry_after(clock, serve, limits, words):
    house = House(clock, **limits)
    house.usage, house.cost = Usage(prompt=10, completion=20, total=30), 0.5
    client = await serve(house)
    assert (await client.post("/chat")).status == 200
    refused = await (await client.post("/chat")).json()
    assert (refused["kind"], refused["wait"]) == ("QuotaSpent", None)
    assert words in refused["message"]


async def test_a_spent_quota_admits_no_request_that_will_probably_be_free(clock, serve):
    house = House(clock, usd_per_day=2)
    house.usage, house.cost = Usage(prompt=10, completion=20, total=30), 0.0
    client = await serve(house)
    assert (await client.post("/chat")).status == 200
    house.app[STATE].seed_now(Plan.of(house.license), {"usd_per_day": 2 * 10**9})
    assert (await client.post("/chat")).status == 429


async def test_of_several_refusals_the_longest_wait_is_told(clock, serve):
    client = await serve(House(clock, requests_per_minute=1, requests_per_day=1))
    await client.get("/models")
    assert (await (await client.get("/models")).json())["kind"] == "QuotaSpent"


async def test_a_reload_changes_limits_and_keeps_the_count(clock, serve):
    house = House(clock, requests_per_minute=2)
    client = await serve(house)
    for _ in range(2):
        await client.get("/models")
    house.license = replace(house.license, limits=Limits(requests_per_minute=5))
    assert [(await client.get("/models")).status for _ in range(4)] == [200, 200, 200, 429]


async def test_a_license_without_limits_gets_no_headers(clock, serve):
    client = await serve(House(clock))
    answer = await client.post("/chat")
    assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]


class Foreseeing(House):
    """A house whose chain also knows, before its handler, which call goes up."""

    def __init__(self, clock: Clock, prices: dict[str, Price] | None = None, **limits: Any) -> None:
        super().__init__(clock, **limits)
        self.call = UpstreamCall("gemini-2.5-flash", {}, stream=False)
        estimate = TokenEstimate()
        self.app[PRICES] = Prices(prices or {}, {"priority": 2.0})
        self.app.middlewares.extend([self.translate, web.middleware(estimate)])
        self.app.cleanup_ctx.append(estimate.lifespan)

    @web.middleware
    async def translate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        request[EXCHANGE].call = self.call
        return await handler(request)

    def asks(self, model: str = "gemini-2.5-flash", copies: int = 1, **config: int) -> None:
        self.call = UpstreamCall(model, {"generationConfig": config}, stream=False, copies=copies)


async def reserved(house: House, client: TestClient, body: bytes = b"") -> int:
    """Return how many tokens one request holds while it runs."""
    house.gate, house.entered = asyncio.Event(), asyncio.Event()
    running = asyncio.ensure_future(client.post("/chat", data=body))
    await house.entered.wait()
    answer = await client.get("/models")
    house.gate.set()
    await running
    limit, left = (answer.headers[f"x-ratelimit-{what}-tokens"] for what in ("limit", "remaining"))
    return int(limit) - int(left)


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        ({}, 1_024),
        ({"maxOutputTokens": 10}, 10),
        ({"maxOutputTokens": 5_000}, 5_000),
        ({"maxOutputTokens": 100, "candidateCount": 3}, 300),
        ({"maxOutputTokens": 100, "copies": 4}, 400),
        ({"maxOutputTokens": 10**15}, 100_000),
    ],
)
async def test_as_much_is_reserved_as_the_answer_may_have_at_most(clock, serve, asked, tokens):
    house = Foreseeing(clock, tokens_per_day=100_000)
    house.asks(**asked)
    client = await serve(house)
    assert await reserved(house, client) == tokens
    assert (await client.get("/models")).headers["x-ratelimit-remaining-tokens"] == "100000"


async def test_each_copy_is_expected_to_bring_the_prompt(clock, serve):
    house = Foreseeing(clock, tokens_per_day=100_000)
    house.asks(copies=4, maxOutputTokens=100)
    assert await reserved(house, await serve(house), b"x" * 4_000) == 4 * 1_000 + 400


async def test_without_a_bound_the_habit_with_that_model_is_reserved(clock, serve):
    house = Foreseeing(clock, tokens_per_day=10**9)
    client = await serve(house)
    for model, output in (("small", 0), ("large", 8_000)):
        house.asks(model)
        house.usage = Usage(prompt=5, completion=output, total=5 + output)
        for _ in range(30):
            await client.post("/chat")
    house.usage = None
    before = int((await client.get("/models")).headers["x-ratelimit-remaining-tokens"])
    held = {}
    for model in ("small", "large", "new"):
        house.asks(model)
        held[model] = await reserved(house, client) - (10**9 - before)
    assert held["small"] < 100
    assert held["large"] == pytest.approx(8_000, rel=0.05)
    assert held["new"] == pytest.approx(8_000, rel=0.05), "as the license's last requests"


async def test_money_is_reserved_by_the_price_of_the_call(clock, serve):
    house = Foreseeing(
        clock, {"gemini-2.5-flash": Price(input=1.0, output=1_000.0)}, usd_per_day=1.0
    )
    house.asks(maxOutputTokens=1_000)
    client = await serve(house)
    house.gate = asyncio.Event()
    first = asyncio.ensure_future(client.post("/chat"))
    await house.entered.wait()
    assert (await client.post("/chat")).status == 429, "the first may cost the whole dollar"
    house.gate.set()
    assert (await first).status == 200
    assert (await client.post("/chat")).status == 200, "but it cost nothing"


@pytest.mark.parametrize("field", ["serviceTier", "service_tier"])
async def test_a_dearer_tier_reserves_more(clock, serve, field):
    house = Foreseeing(
        clock, {"gemini-2.5-flash": Price(input=1.0, output=1_000.0)}, usd_per_day=1.0
    )
    house.asks(maxOutputTokens=500)
    house.call.body[field] = "PRIORITY"
    client = await serve(house)
    house.gate = asyncio.Event()
    first = asyncio.ensure_future(client.post("/chat"))
    await house.entered.wait()
    assert (await client.post("/chat")).status == 429, "the first may cost the whole dollar"
    house.gate.set()
    assert (await first).status == 200


async def test_what_no_quota_in_usd_could_count_is_refused(clock, serve):
    prices = {"gemini-2.5-flash": Price(input=1.0, output=1.0)}
    house = Foreseeing(clock, prices, usd_per_day=1.0)
    client = await serve(house)
    house.asks("gemini-99-flash")
    answer = await client.post("/chat")
    lines = await answer.json()
    assert (answer.status, lines["kind"], house.inside) == (403, "Forbidden", 0)
    assert "'gemini-99-flash' has no price" in lines["message"]
    assert (await client.get("/models")).status == 200
    house.asks("gemini-2.5-flash")
    assert (await client.post("/chat")).status == 200


async def test_a_model_without_a_price_is_free_for_who_has_no_quota_in_usd(clock, serve):
    house = Foreseeing(clock, requests_per_minute=9, tokens_per_day=10_000)
    house.asks("gemini-99-flash")
    client = await serve(house)
    assert (await client.post("/chat")).status == 200


async def test_another_model_without_a_price_costs_what_was_reserved(clock, serve):
    """A fallback, whose price nobody told: free use would have no end."""
    prices = {"gemini-2.5-flash": Price(input=1.0, output=1_000.0)}
    house = Foreseeing(clock, prices, usd_per_day=1.0)
    house.asks(maxOutputTokens=400)
    house.usage, house.cost = Usage(prompt=1, completion=1, total=2), None
    client = await serve(house)
    answers = [(await client.post("/chat")).status for _ in range(4)]
    assert answers == [200, 200, 200, 429]


@pytest.mark.parametrize("replacement", ["gemini-3.1-flash-lite", "gemini-99-flash"])
async def test_a_replaced_name_costs_what_its_replacement_does(running, simulator, replacement):
    """Before anybody has learned that upstream does not know it."""
    licenses = [{"id": "usd", "key": LICENSE, "usd_per_day": 5.0}]
    models = {"replacements": {"gemini-2.0-flash": {"model": replacement}}}
    settings = settings_for(simulator.url, licenses=licenses, models=models)
    async with running(settings) as gateway:
        first, body, headers = await gateway.whole(model="gemini-2.0-flash")
        again, _, _ = await gateway.whole(model="gemini-2.0-flash")
    if replacement == "gemini-99-flash":
        assert (first, again) == (403, 403)
        assert body["error"]["code"] == "model_without_price"
        return
    assert (first, again) == (200, 200)
    assert headers["x-gateway-model"] == replacement
    assert body["usage"]["cost"] > 0


@pytest.mark.parametrize("is_foreseen", [True, False])
async def test_a_chain_that_foresees_no_cost_is_warned_of_at_the_start(
    running, simulator, is_foreseen
):
    left_out = "" if is_foreseen else "middlewares.rate_limit:TokenEstimate"
    chain = [table for table in Settings().middlewares if table["use"] != left_out]
    structlog.reset_defaults()
    with capture_logs() as logs:
        async with running(settings_for(simulator.url, middlewares=chain)):
            pass
    lines = [line for line in logs if line["event"] == "quotas_unforeseen"]
    assert [line["log_level"] for line in lines] == ([] if is_foreseen else ["warning"])
    assert all("without middlewares.rate_limit:TokenEstimate" in line["reason"] for line in lines)


async def test_a_body_that_comes_in_chunks_is_reserved_for_by_its_length(running):
    prompt = "word " * 10_000
    asked = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 10}
    body = json.dumps({"model": "gemini-2.5-flash", **asked}).encode()

    async def in_pieces():
        yield body[:100]
        yield body[100:]

    licenses = [{"id": "tester", "key": LICENSE, "tokens_per_day": 1_000_000}]
    headers = {"Authorization": LICENSE}
    async with (
        ScriptedUpstream([STALL, *answer(200, LAST)]) as upstream,
        running(settings_for(upstream.url, licenses=licenses)) as gateway,
    ):
        url = f"{gateway.url}/v1/chat/completions"
        running_one = asyncio.ensure_future(
            gateway.session.post(url, data=in_pieces(), headers=headers)
        )
        while not upstream.seen:
            await gateway.tick()
        async with gateway.session.get(f"{gateway.url}/v1/usage", headers=headers) as response:
            left = int(response.headers["x-ratelimit-remaining-tokens"])
        upstream.release.set()
        async with await running_one as response:
            assert response.status == 200
    assert 1_000_000 - left == len(body) // 4 + 10
