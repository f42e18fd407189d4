"""MediaFormats: checks every media part of the payload and stores it in Gemini's form."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import ExitStack

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.errors import GatewayError, Unavailable
from gateway.keys import EXCHANGE, FILES, NAMES, SETTINGS, STATE
from gateway.media import parts
from gateway.media.fetch import Fetcher
from gateway.media.files import FilesClient
from gateway.media.intake import Intake
from gateway.media.parts import MediaPart
from gateway.network.lookup import system_lookup

RETRY_AFTER_S = 1.0
_MOVES = "The credential that has the files of this request cannot serve it now; try again."
_GONE = "Gemini has lost a file that was uploaded for an earlier request; try again."


class MediaFormats:
    """Fills `exchange.media`: one blob per media part, by (message index, part index).

    Its limits are those of `[media]` in the settings. What Gemini does not accept is refused before
    anything is sent upstream.
    """

    requires = ("license", "payload")
    provides = ("media",)

    def __init__(self) -> None:
        self._intake: Intake | None = None

    def __call__(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Take in the media, if there are any, and call the next handler."""
        exchange = request[EXCHANGE]
        media_parts = parts.find(exchange.payload) if exchange.dialect.has_messages else []
        return self._fill(request, handler, media_parts) if media_parts else handler(request)

    async def _fill(
        self, request: web.Request, handler: Handler, media_parts: list[MediaPart]
    ) -> web.StreamResponse:
        assert self._intake is not None
        exchange = request[EXCHANGE]
        try:
            with ExitStack() as spools:
                await self._intake.fill(exchange, media_parts, spools)
                response = await handler(request)
        except GatewayError as error:
            # The next attempt, which SDKs make by themselves, uploads it again.
            if self._intake.forget_lost(exchange, error):
                raise Unavailable(_GONE, retry_after=RETRY_AFTER_S) from None
            if self._intake.can_move(exchange, error):
                raise Unavailable(_MOVES, retry_after=RETRY_AFTER_S) from None
            raise
        finally:
            # It holds the bytes of the media, and the exchange in turn.
            exchange.finish_media = None
        # Where the stream had begun already, the error was reported in it.
        self._intake.forget_lost(exchange, exchange.outcome.error)
        return response

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Hold the state of uploads."""
        settings = app[SETTINGS]
        files = FilesClient(app[FILES]) if FILES in app else None
        if files is not None and STATE in app:
            files.shelf.share(app[STATE].table("files", files.shelf.hear))
        fetcher = Fetcher(settings.media, system_lookup)
        base_url = settings.upstream.base_url.rstrip("/")
        self._intake = Intake(settings.media, base_url, fetcher, files, app[NAMES].resolve)
        yield
