"""Cors: lets pages of the configured origins call the gateway from a browser.

Browsers send OPTIONS without a license, so this middleware comes before the one that checks it. The
headers that a page wants to send are reflected, never listed: a fixed list misses the next SDK's
headers, and `*` does not cover `Authorization` (Fetch standard).
"""

from collections.abc import AsyncIterator, Awaitable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from gateway.keys import EXCHANGE, SETTINGS

EXPOSED = (
    "x-request-id, openai-processing-ms, retry-after, retry-after-ms, x-should-retry, Sunset, "
    "x-gateway-version, x-gateway-model, x-gateway-adjusted, x-gateway-dropped, "
    "x-gateway-degraded, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    "x-ratelimit-reset-tokens"
)
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
MAX_AGE_S = "86400"


class Cors:
    """Answer OPTIONS, and allow the origins of `[cors]` to read answers; `*` means every origin."""

    requires = ()
    provides = ()

    def __init__(self) -> None:
        self._origins: frozenset[str] = frozenset()

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Take the origins from the settings."""
        self._origins = frozenset(app[SETTINGS].cors.origins)
        yield

    def __call__(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Answer OPTIONS at once; mark every other answer as readable by allowed origins."""
        origin = request.headers.get(hdrs.ORIGIN)
        headers = {} if origin is None else self._headers(origin)
        if request.method == hdrs.METH_OPTIONS:
            return _preflight(request, headers)
        if headers:
            request[EXCHANGE].headers.update(headers)
        return handler(request)

    def _headers(self, origin: str) -> dict[str, str]:
        """Return the headers that allow *origin* to read the answer; none if it may not."""
        if not {origin, "*"} & self._origins:
            return {}
        return {
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: EXPOSED,
            hdrs.VARY: hdrs.ORIGIN,
        }


async def _preflight(request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
    """Answer a preflight request, with what the origin may send if *headers* allow it."""
    return web.Response(status=204, headers=_allowed(request, headers))


def _allowed(request: web.Request, headers: dict[str, str]) -> dict[str, str]:
    if not headers:
        return {hdrs.ALLOW: METHODS}
    requested = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, hdrs.AUTHORIZATION)
    return headers | {
        hdrs.ALLOW: METHODS,
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: requested,
        hdrs.ACCESS_CONTROL_MAX_AGE: MAX_AGE_S,
    }
