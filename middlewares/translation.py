"""Translation: turns the payload into the upstream call, and provides the reply's translator."""

import time
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.exchange import Exchange, Known, Outcome, Usage
from gateway.keys import EXCHANGE, MEMORIES, NAMES, PRICES, REFUSALS, SETTINGS
from gateway.models import base_name
from gateway.protocols import Memories, Names, Refusals
from gateway.records.prices import Prices
from gateway.settings import Chat


class Translation:
    """Fills `exchange.call` and `exchange.reply`; at the end remembers data for the next turn."""

    requires = ("license", "payload", "media")
    provides = ("call", "reply")

    _chat: Chat
    _names: Names
    _prices: Prices
    _memories: Memories
    _refusals: Refusals

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Look up the services that every request needs."""
        self._chat = app[SETTINGS].chat
        self._names, self._prices = app[NAMES], app[PRICES]
        self._memories, self._refusals = app[MEMORIES], app[REFUSALS]
        yield

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Translate, call the next handler, and keep what the next turn will need."""
        exchange = request[EXCHANGE]
        await self._translate(exchange)
        try:
            return await handler(request)
        finally:
            if memories := exchange.reply.memories():
                self._memories.remember(exchange.license.id, memories)

    async def _translate(self, exchange: Exchange) -> None:
        """Make call and reply; what they are made from is freed when this returns."""
        dialect, payload = exchange.dialect, exchange.payload
        exchange.requested_model = base_name(payload["model"])
        model = self._names.resolve(exchange.requested_model)
        # Every turn of the model has a key, each of which takes a digest.
        may_be_known = self._memories.may_know(exchange.license.id)
        memories = await self._recall(exchange) if may_be_known else {}
        # Filled one by one: keyword arguments would take three times as long.
        known = Known(exchange.id)
        known.created = int(time.time())
        known.model = model
        known.media = exchange.media
        known.memories = memories
        known.refusals = self._refusals.of(model)
        known.image_output = self._chat.image_output
        known.safety = self._chat.safety
        known.cost = partial(self._cost, exchange.outcome, model)
        exchange.call = dialect.call(payload, known, exchange.notes)
        if exchange.notes.is_strict:
            exchange.notes.refuse_if_any()
        exchange.reply = dialect.reply(exchange.call, payload, known)

    async def _recall(self, exchange: Exchange) -> dict[str, bytes]:
        """Return what is remembered of the turns in the payload."""
        dialect, license_id, payload = exchange.dialect, exchange.license.id, exchange.payload
        memories: dict[str, bytes] = {}
        if keys := dialect.memory_keys(payload, exchange.media):
            memories = await self._memories.recall(license_id, keys)
        if lost := dialect.lost_keys(payload, memories):
            memories |= await self._memories.recall(license_id, lost)
        return memories

    def _cost(self, outcome: Outcome, model: str, usage: Usage) -> float | None:
        """Estimate by the price of the model that answered: *model*, unless it was a fallback."""
        outcome.cost = cost = self._prices.cost(outcome.model or model, usage)
        return cost
