"""Translation: the payload becomes the upstream call, and the reply gets its translator."""

import time
from dataclasses import replace

from aiohttp import web

from gateway.exchange import Known
from gateway.keys import EXCHANGE, MEMORIES, NAMES, PRICES, REFUSALS, SETTINGS
from gateway.models import base_name
from gateway.plugins import Handler


class Translation:
    """Fill `exchange.call` and `exchange.reply`; remember, at the end, for the next turn."""

    requires = ("license", "payload", "media")
    provides = ("call", "reply")

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Translate, hand on, and keep what the next turn of the conversation will need."""
        exchange, app = request[EXCHANGE], request.app
        dialect, payload = exchange.dialect, exchange.payload
        chat = app[SETTINGS].chat
        exchange.asked = base_name(payload["model"])
        model = app[NAMES].resolve(exchange.asked)
        keys = dialect.recalls(payload, exchange.media)
        scope = exchange.license.id
        known = Known(
            exchange_id=exchange.id,
            created=int(time.time()),
            model=model,
            media=exchange.media,
            memories=await app[MEMORIES].recall(scope, keys) if keys else {},
            refusals=app[REFUSALS].of(model),
            image_output=chat.image_output,
            safety=chat.safety,
            cost=app[PRICES].of(model),
        )
        call = dialect.call(payload, known, exchange.notes)
        # Files belong to the credential they went up with.
        owner = exchange.media_credential
        exchange.call = call if owner is None else replace(call, credential=owner)
        if exchange.strict:
            exchange.notes.is_strict = True
            exchange.notes.refuse_if_any()
        exchange.reply = dialect.reply(exchange.call, payload, known)
        try:
            return await handler(request)
        finally:
            if memories := exchange.reply.memories():
                app[MEMORIES].remember(scope, memories)
