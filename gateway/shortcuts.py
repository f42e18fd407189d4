"""The way to the handler of an address without variable parts: found once, not for each request.

aiohttp walks up the address of every request to find its route, and puts the middlewares around it
anew. Here only what is spelled exactly as it was registered is found. All else is left to aiohttp's
router, so that no spelling can lead elsewhere than there, and none around the license.
"""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import hdrs, web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# What means the same in an address and in the request line.
_PLAIN = re.compile(r"[A-Za-z0-9._~/-]+")


class Shortcut(NamedTuple):
    """A handler with all middlewares around it, and what its requests have as `match_info`."""

    handler: Handler
    match_info: web.UrlMappingMatchInfo


class Shortcuts:
    """Those of *app*, which is frozen: neither routes nor middlewares change any more."""

    __slots__ = ("_by_target",)

    def __init__(self, app: web.Application) -> None:
        self._by_target: dict[str, dict[str, Shortcut]] = {}
        for route in app.router.routes():
            resource = route.resource
            if isinstance(resource, web.PlainResource) and _PLAIN.fullmatch(resource.canonical):
                by_method = self._by_target.setdefault(resource.canonical, {})
                # Of several the router takes the first.
                by_method.setdefault(route.method, _shortcut(app, route))

    def __contains__(self, target: str) -> bool:
        """Say whether *target*, as it stands in a request line, is one of the addresses."""
        return target in self._by_target

    def of(self, request: web.Request) -> Handler | None:
        """Give what answers *request*, now routed; None leaves it to aiohttp."""
        by_method = self._by_target.get(request.raw_path)
        if by_method is None or hdrs.EXPECT in request.headers:
            return None
        shortcut = by_method.get(request.method)
        if shortcut is None:
            return None
        handler, match_info = shortcut
        request._match_info = match_info  # noqa: SLF001 - as the router's result is set
        return handler


def _shortcut(app: web.Application, route: web.AbstractRoute) -> Shortcut:
    match_info = web.UrlMappingMatchInfo({}, route)
    match_info.add_app(app)
    match_info.freeze()
    handler: Handler = route.handler
    for middleware in reversed(app.middlewares):
        handler = _wrap(middleware, handler)
    return Shortcut(handler, match_info)


def _wrap(middleware: Callable[..., Awaitable[web.StreamResponse]], handler: Handler) -> Handler:
    def wrapped(request: web.Request) -> Awaitable[web.StreamResponse]:
        return middleware(request, handler=handler)

    return wrapped
