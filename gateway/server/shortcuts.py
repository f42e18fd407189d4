"""Finds the handlers of addresses without variable parts once, instead of for each request.

aiohttp walks the address of every request to find its route, and wraps the middlewares around it
again. Only addresses spelled exactly as registered are found here. All others are left to aiohttp's
router, so that no spelling can lead anywhere else, or past the license check.
"""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

# Characters that mean the same in an address and in a request line.
_PLAIN = re.compile(r"[A-Za-z0-9._~/-]+")


class Shortcut(NamedTuple):
    """A handler with all its middlewares, and the `match_info` of its requests."""

    handler: Handler
    match_info: web.UrlMappingMatchInfo


class Shortcuts:
    """The shortcuts of *app*, which is frozen: routes and middlewares no longer change."""

    __slots__ = ("_by_target",)

    def __init__(self, app: web.Application) -> None:
        self._by_target: dict[str, dict[str, Shortcut]] = {}
        for route in app.router.routes():
            resource = route.resource
            if isinstance(resource, web.PlainResource) and _PLAIN.fullmatch(resource.canonical):
                by_method = self._by_target.setdefault(resource.canonical, {})
                # The router takes the first of several.
                by_method.setdefault(route.method, _shortcut(app, route))

    def __contains__(self, target: str) -> bool:
        """Tell whether *target*, as written in a request line, is one of the addresses."""
        return target in self._by_target

    def of(self, request: web.Request) -> Handler | None:
        """Return the handler of *request*, now routed; None leaves it to aiohttp."""
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
