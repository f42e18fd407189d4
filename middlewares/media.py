"""Check every media part of the payload and put its bytes, in Gemini's form, on the exchange."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import BadRequest
from gateway.exchange import Blob, Exchange
from gateway.keys import EXCHANGE, SETTINGS
from gateway.media import data_url, parts
from gateway.media.parts import MediaPart
from gateway.settings import Media

# Base64 up to this many characters is checked on the loop: a thread would cost more.
_SMALL = 131_072


class MediaFormats:
    """Fill `exchange.media`: one blob for each media part, by (message index, part index)."""

    requires = ("payload",)
    provides = ("media",)

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what Gemini does not take before anything goes upstream."""
        exchange = request[EXCHANGE]
        if exchange.carries_payload and (found := parts.find(exchange.payload)):
            settings = request.config_dict[SETTINGS].media
            if len(found) > settings.max_items:
                raise BadRequest(
                    f"This request has {len(found)} media parts; {settings.max_items} are allowed.",
                    param=found[settings.max_items].claim.param,
                    code="too_many_media",
                )
            await self._fill(exchange, found, settings)
        return await handler(request)

    async def _fill(self, exchange: Exchange, found: list[MediaPart], settings: Media) -> None:
        for part in found:
            exchange.media[part.at] = await _inline(part, settings.max_item_bytes)


async def _inline(part: MediaPart, max_bytes: int) -> Blob:
    source = part.source
    if len(source) <= _SMALL:
        blob = data_url.to_blob(source, part.claim, max_bytes)
    else:
        blob = await asyncio.to_thread(data_url.to_blob, source, part.claim, max_bytes)
    # The blob has the bytes now; kept here too, they would be in memory twice.
    part.holder[part.key] = f"data:{blob.mime};base64,"
    return blob
