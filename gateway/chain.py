"""The chain of middlewares, composed once, around the handlers and around unrouted addresses."""

import inspect
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from itertools import groupby, takewhile

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from gateway.guard import Lifespan
from gateway.keys import EXCHANGE


@dataclass(frozen=True, slots=True)
class Step:
    """One middleware of a chain; exchanges without a payload skip one that is *for_payloads*.

    OPTIONS is answered before the one that *authenticates*.
    """

    middleware: Middleware
    for_payloads: bool
    authenticates: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """The middlewares in order of execution, and the resources they hold while the app runs."""

    steps: tuple[Step, ...]
    lifespans: tuple[Lifespan, ...]
    provides: frozenset[str]

    def wrap(self, handler: Handler) -> Handler:
        """Return *handler* behind the chain, composed once, so that no request pays for it."""
        wrapped = handler
        for for_payloads, steps in groupby(reversed(self.steps), lambda step: step.for_payloads):
            inner = wrapped
            for step in steps:
                inner = _wrap(step.middleware, inner)
            wrapped = _choose_by_payload(inner, wrapped) if for_payloads else inner

        # aiohttp only routes to coroutine functions.
        async def chained(request: web.Request) -> web.StreamResponse:
            return await wrapped(request)

        return chained

    def for_unrouted(self, prefix: str) -> Middleware:
        """Return the middleware that runs the chain for unrouted addresses under *prefix*.

        No route has the method OPTIONS: these requests are answered here, too.
        """
        public = takewhile(lambda step: not step.authenticates, self.steps)
        answer_options = replace(self, steps=tuple(public)).wrap(_name_methods)

        def chain(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
            is_lost = request.match_info.http_exception is not None
            if is_lost and f"{request.path}/".startswith(f"{prefix}/"):
                is_options = request.method == hdrs.METH_OPTIONS
                handler = answer_options if is_options else self.wrap(handler)
            return handler(request)

        return web.middleware(chain)


async def _name_methods(request: web.Request) -> web.StreamResponse:
    """Answer OPTIONS if no middleware does. Raises aiohttp's 404 where nothing is."""
    error = request.match_info.http_exception
    if not isinstance(error, web.HTTPMethodNotAllowed):
        raise error or web.HTTPNotFound
    methods = sorted({*error.allowed_methods, hdrs.METH_OPTIONS})
    return web.Response(status=204, headers={hdrs.ALLOW: ", ".join(methods)})


def _wrap(middleware: Middleware, handler: Handler) -> Handler:
    """Return *handler* behind *middleware*, which may call its second argument as it likes."""
    # The interpreter calls a method directly, but an object with `__call__` by a detour.
    call: Middleware = middleware if inspect.isroutine(middleware) else middleware.__call__

    def wrapped(request: web.Request) -> Awaitable[web.StreamResponse]:
        return call(request, handler)

    return wrapped


def _choose_by_payload(with_payload: Handler, without_payload: Handler) -> Handler:
    """Return the handler that chooses between both by whether the exchange has a payload."""

    def choose(request: web.Request) -> Awaitable[web.StreamResponse]:
        return (with_payload if request[EXCHANGE].carries_payload else without_payload)(request)

    return choose
