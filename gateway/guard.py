"""Guards third-party middlewares: their faults are reported under their names.

The shipped ones go unguarded, so that only requests through third-party code pay for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.errors import GatewayError
from gateway.keys import EXCHANGE

Lifespan = Callable[[web.Application], AsyncIterator[None]]

# A start must not take longer; systemd would not say what it waits for.
SET_UP_S = 30.0
# Less than the limit for all of them: the ledger is written after these.
TEAR_DOWN_S = 3.0

_log = structlog.get_logger()


class MiddlewareFault(Exception):
    """A middleware breaks the contract of middlewares; the text names it and quotes no request."""


class _GuardedHandler:
    """The handler as a middleware sees it: it answers once, and what it raised is remembered."""

    __slots__ = ("_handler", "_name", "answered", "raised")

    def __init__(self, handler: Handler, name: str) -> None:
        self._handler = handler
        self._name = name
        self.answered = False
        self.raised: BaseException | None = None

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if self.answered:
            raise MiddlewareFault(f"{self._name} called its handler again after the answer")
        _check_headers(request[EXCHANGE].headers, f"{self._name} asked for")
        try:
            response = await self._handler(request)
        except BaseException as error:
            self.raised = error
            raise
        self.answered = True
        return response


def guarded(middleware: Middleware, name: str) -> Middleware:
    """Return *middleware* with its faults turned into `MiddlewareFault`s that name it as *name*.

    A `GatewayError` or an HTTP exception of aiohttp, its own or raised behind it, passes.
    """

    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        inner = _GuardedHandler(handler, name)
        try:
            return await _answer(middleware, name, request, inner)
        except (MiddlewareFault, GeneratorExit):
            raise
        except (GatewayError, web.HTTPException):
            # The answer will carry these headers.
            _check_headers(request[EXCHANGE].headers, f"{name} asked for")
            raise
        except asyncio.CancelledError as error:
            if error is inner.raised:
                raise
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                _log.warning("middleware_cut", id=request[EXCHANGE].id, middleware=name)
                raise
            raise MiddlewareFault(f"{name} raised a CancelledError of its own") from error
        # Whatever it is, `SystemExit` included: one request must not end all others.
        except BaseException as error:
            if error is inner.raised:
                raise
            raise MiddlewareFault(f"{name} raised {type(error).__name__}") from error
        finally:
            # The frames of its traceback hold this object in turn.
            inner.raised = None

    return guard


async def _answer(
    middleware: Middleware, name: str, request: web.Request, inner: Handler
) -> web.StreamResponse:
    awaitable: Any = middleware(request, inner)
    if not isawaitable(awaitable):
        raise MiddlewareFault(
            f"{name} returned nothing that can be awaited; is it `async`, or a `def` ending with "
            "`return handler(request)`?"
        )
    response: Any = await awaitable
    if not isinstance(response, web.StreamResponse):
        raise MiddlewareFault(
            f"{name} returned no response; does it `return await handler(request)`?"
        )
    if not response.prepared:
        _check_headers(response.headers, f"{name} answered with")
    return response


def _check_headers(headers: MutableMapping[str, str], source: str) -> None:
    """Remove and refuse headers that would only fail when written, with their origin unknown."""
    try:
        text = "".join((*headers, *headers.values()))
    except TypeError:
        text = "\0"
    if "\n" in text or "\r" in text or "\0" in text:
        names = [name for name, value in headers.items() if not _is_sendable(name, value)]
        for name in names:
            del headers[name]
        raise MiddlewareFault(f"{source} the header {names[0]!r}, which is not a single-line text")


def _is_sendable(*texts: object) -> bool:
    return all(isinstance(one, str) and not set("\r\n\0") & set(one) for one in texts)


def bounded(lifespan: Lifespan, name: str) -> Lifespan:
    """Return *lifespan* of *name*, limited in time and unable to hold up the others.

    It raises `MiddlewareFault` if it cannot be set up.
    """

    async def life(app: web.Application) -> AsyncIterator[None]:
        try:
            context = asynccontextmanager(lifespan)(app)
            async with asyncio.timeout(SET_UP_S):
                await context.__aenter__()
        except TimeoutError:
            raise MiddlewareFault(
                f"{name}: its lifespan did not reach its yield within {SET_UP_S:g} s"
            ) from None
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise MiddlewareFault(f"{name}: its lifespan failed: {reason}") from error
        yield
        try:
            async with asyncio.timeout(TEAR_DOWN_S):
                await context.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001 - the others are still to be ended
            _log.error("lifespan_failed", middleware=name, exc_info=error)

    return life
