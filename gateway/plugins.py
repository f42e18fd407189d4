"""Turns `[[middlewares]]` into a chain: finds the classes, checks their options and their order.

A middleware is named `package.module:Class`. Its other keys become the class's own `Options`, a
frozen dataclass; a class without `Options` takes none. `requires` and `provides` name fields of the
`Exchange`. What ends start-up here is always a `PluginError` that names the place in the file.
"""

import dataclasses
import importlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.config import ConfigError, nearest
from gateway.keys import EXCHANGE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Lifespan = Callable[[web.Application], AsyncIterator[None]]

# Fields that every exchange has from the start.
GIVEN = frozenset({"id", "dialect", "started", "notes", "headers", "outcome"})
# Fields that only exchanges with a payload come to have.
OF_PAYLOAD = frozenset({"payload", "media", "call", "reply"})


class PluginError(ConfigError):
    """A middleware cannot be loaded or stands at the wrong place."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The middlewares in the order of execution, and what they hold while the app runs.

    Those side by side that run for payloads only are one of *middlewares*.
    """

    middlewares: tuple[Middleware, ...]
    lifespans: tuple[Lifespan, ...]

    def under(self, prefix: str, outside: Collection[str]) -> Middleware:
        """Give one middleware that is the whole chain, for all routes but those *outside* it.

        Where there is no route, it runs under *prefix* only.
        """
        composed = _Composed(self.middlewares)

        def is_inside(request: web.Request) -> bool:
            # Asked by its route: of one path there are many spellings.
            resource = request.match_info.route.resource
            if resource is None:
                return f"{request.path}/".startswith(f"{prefix}/")
            return resource.canonical not in outside

        def chain(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
            made = composed.made.get(handler)
            if made is None and is_inside(request):
                made = composed.around(handler, request)
            return (made or handler)(request)

        return web.middleware(chain)


def load(tables: tuple[dict[str, Any], ...]) -> Chain:
    """Make the chain that *tables*, the `[[middlewares]]` of the settings, describe.

    A middleware that requires or provides a field of the payload runs only for exchanges that carry
    one. Raises `PluginError`.
    """
    middlewares: list[Middleware] = []
    lifespans: list[Lifespan] = []
    # Those that stand side by side and run for payloads only.
    gated: list[Middleware] = []
    provided = set(GIVEN)
    for index, table in enumerate(tables):
        place = f"middlewares[{index}]"
        middleware: Middleware = _make(table, place)
        requires, provides = _fields(middleware, place)
        _check_order(requires, provided, place)
        provided |= provides
        if hasattr(middleware, "lifespan"):
            lifespans.append(middleware.lifespan)
        if OF_PAYLOAD.isdisjoint(requires | provides):
            middlewares.append(middleware)
            gated = []
            continue
        if not gated:
            middlewares.append(_gate(gated))
        gated.append(middleware)
    return Chain(tuple(middlewares), tuple(lifespans))


def _make(table: dict[str, Any], place: str) -> Middleware:
    name = table.get("use")
    if not isinstance(name, str) or name.count(":") != 1:
        raise PluginError(f"{place}.use: must be 'package.module:Class', not {name!r}")
    found = _find(name, f"{place}.use")
    options = {key: value for key, value in table.items() if key != "use"}
    if not inspect.isclass(found):
        return _plain(found, options, place)
    arguments = _options(found, options, place)
    try:
        made: Any = found(*arguments)
    except Exception as error:
        raise PluginError(f"{place}: {name} cannot be made: {error}") from error
    if not callable(made):
        raise PluginError(f"{place}: {name} is no middleware: it has no __call__(request, handler)")
    middleware: Middleware = made
    return middleware if _takes_handler(made) else _renamed(middleware)


def _takes_handler(made: Any) -> bool:
    """Say whether *made* takes its second argument by the name that aiohttp gives it."""
    try:
        parameter = inspect.signature(made).parameters.get("handler")
    except ValueError:
        # Compiled ones need not tell.
        return False
    return parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY


def _renamed(middleware: Any) -> Middleware:
    """Give *middleware*, which takes its second argument by place only, as one that has it."""

    def called(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        answer: Awaitable[web.StreamResponse] = middleware(request, handler)
        return answer

    for name in ("requires", "provides", "lifespan"):
        if hasattr(middleware, name):
            setattr(called, name, getattr(middleware, name))
    return called


def _find(name: str, place: str) -> Any:
    """Import what *name* stands for; whatever third-party code raises on import is reported."""
    module_name, attribute = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(f"{place}: {module_name!r} cannot be imported: {reason}") from error
    if not hasattr(module, attribute):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise PluginError(
            f"{place}: no {attribute!r} in {module_name}; {nearest(attribute, public)}"
        )
    return getattr(module, attribute)


def _plain(found: Any, options: dict[str, Any], place: str) -> Middleware:
    """Take a function made by `@web.middleware`; its table holds nothing but `use`."""
    if getattr(found, "__middleware_version__", None) != 1:
        raise PluginError(f"{place}.use: neither a class nor a function made by @web.middleware")
    for key in options:
        raise PluginError(f"{place}: unknown option {key!r}; a plain function takes none")
    middleware: Middleware = found
    return middleware


def _options(found: Any, options: dict[str, Any], place: str) -> tuple[Any, ...]:
    """Give the arguments of the class *found*: its checked `Options`, or nothing."""
    kind = getattr(found, "Options", None)
    if kind is None:
        for key in options:
            raise PluginError(f"{place}: unknown option {key!r}; it takes none")
        return ()
    known = [field.name for field in dataclasses.fields(kind)]
    for key in options:
        if key not in known:
            listed = ", ".join(known) or "none"
            raise PluginError(f"{place}: unknown option {key!r}; known: {listed}")
    try:
        return (msgspec.convert(options, kind, strict=True),)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise PluginError(f"{place}{where.rstrip('`')}: {reason}") from None


def _fields(middleware: Middleware, place: str) -> tuple[frozenset[str], frozenset[str]]:
    lifespan = getattr(middleware, "lifespan", None)
    if lifespan is not None and not inspect.isasyncgenfunction(lifespan):
        raise PluginError(f"{place}: its lifespan must be an async generator with one yield")
    named = (getattr(middleware, "requires", ()), getattr(middleware, "provides", ()))
    for fields in named:
        # A forgotten comma makes a text of ("payload"), which would read as seven fields.
        if isinstance(fields, str):
            raise PluginError(f"{place}: requires and provides are tuples of texts, not a text")
    return frozenset(named[0]), frozenset(named[1])


def _check_order(requires: frozenset[str], provided: set[str], place: str) -> None:
    for missing in sorted(requires - provided):
        raise PluginError(
            f"{place}: requires {missing!r}, which nothing before it provides; "
            "put it behind a middleware that does"
        )


def _gate(gated: list[Middleware]) -> Middleware:
    """Make of *gated*, to which more may be added, one that runs them for payloads only."""
    composed = _Composed(gated)

    def gate(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        if request[EXCHANGE].carries_payload:
            handler = composed.made.get(handler) or composed.around(handler, request)
        return handler(request)

    return gate


class _Composed:
    """Middlewares put around handlers, once around each of a route; *made* are those."""

    __slots__ = ("_middlewares", "made")

    def __init__(self, middlewares: Sequence[Middleware]) -> None:
        self._middlewares = middlewares
        self.made: dict[Handler, Handler] = {}

    def around(self, handler: Handler, request: web.Request) -> Handler:
        """Give *handler*, to which *request* leads, with the middlewares in front of it."""
        made = handler
        for middleware in reversed(self._middlewares):
            made = partial(middleware, handler=made)
        # What tells that there is nothing at an address is made for each request.
        if request.match_info.http_exception is None:
            self.made[handler] = made
        return made
