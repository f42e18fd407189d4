"""What is noted of an exchange that is over."""

import pytest

from gateway.dialects import OPENAI_CHAT
from gateway.exchange import Exchange, Known, UpstreamCall, Usage
from gateway.records.prices import Prices
from gateway.records.spending import settle
from gateway.settings import Price
from tests.faults.scripted import LAST, USAGE

PRICES = Prices({"m": Price(input=10.0, output=100.0), "dear": Price(input=1000.0, output=1000.0)})
STRANGE = {"candidates": [5]}


@pytest.fixture
def exchange() -> Exchange:
    one = Exchange("id", OPENAI_CHAT, 0.0)
    one.call = UpstreamCall("m", {}, stream=False)
    one.reply = OPENAI_CHAT.reply(one.call, {"model": "m", "messages": []}, Known("id"))
    return one


def accounted(exchange: Exchange) -> tuple[int, float | None, str | None]:
    settle(exchange, PRICES)
    outcome = exchange.outcome
    return outcome.usage.total, outcome.cost, outcome.finish_reason


def test_without_any_event_nothing_was_spent(exchange):
    settle(exchange, PRICES)
    assert (exchange.outcome.usage, exchange.outcome.cost) == (None, None)


def test_what_the_client_was_told_is_spent(exchange):
    exchange.reply.feed(LAST)
    assert accounted(exchange) == (5, pytest.approx(0.000_23), "stop")


def test_what_nobody_read_is_spent_but_ends_nothing(exchange):
    exchange.outcome.unread = (LAST, STRANGE, {"usageMetadata": {**USAGE, "totalTokenCount": 9}})
    assert accounted(exchange) == (9, pytest.approx(0.000_23), None)


def test_what_was_thrown_away_costs_what_its_model_does(exchange):
    exchange.reply.feed(LAST)
    exchange.outcome.wasted = (("dear", Usage(prompt=1, total=1)), ("free", Usage(total=2)))
    assert accounted(exchange) == (8, pytest.approx(0.001_23), "stop")
    assert exchange.reply.usage.total == 5, "as the client was told"
