"""The usage of a finished exchange, noted in its outcome: what Gemini bills for it.

That is more than the client was told where some of its calls failed, or where an answer was asked
for again. Usage of a broken call after its last event is unknown.
"""

from contextlib import suppress
from dataclasses import replace

from gateway.errors import GatewayError
from gateway.exchange import Exchange, Usage
from gateway.records.prices import Prices


def settle(exchange: Exchange, prices: Prices) -> None:
    """Note usage, cost and finish reason; of a cut stream, according to its last event."""
    outcome, reply = exchange.outcome, exchange.reply
    outcome.finish_reason = reply.finish_reason
    if outcome.unread:
        _feed_unread(exchange)
    outcome.usage = reply.usage
    if outcome.usage is not None and outcome.cost is None:
        outcome.cost = prices.cost(outcome.model or exchange.call.model, outcome.usage)
    if outcome.wasted:
        _add_wasted(exchange, prices)


def _feed_unread(exchange: Exchange) -> None:
    """Let the reply count the events it was not given."""
    outcome = exchange.outcome
    events, outcome.unread = outcome.unread, ()
    outcome.cost = None
    for event in events:
        with suppress(GatewayError):
            exchange.reply.feed(event)


def _add_wasted(exchange: Exchange, prices: Prices) -> None:
    """Add the cost of answers that the reply knows nothing about."""
    outcome = exchange.outcome
    total = Usage() if outcome.usage is None else replace(outcome.usage)
    for model, usage in outcome.wasted:
        total.add(usage)
        cost = prices.cost(model, usage)
        if cost is not None:
            outcome.cost = (outcome.cost or 0.0) + cost
    outcome.usage = total
