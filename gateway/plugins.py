"""Builds the chain from `[[middlewares]]`: imports classes, checks their options and order.

A middleware is named `package.module:Class`. Its other keys become the class's own `Options`, a
frozen dataclass; a class without `Options` takes none. `requires` and `provides` name fields of the
`Exchange`. What ends start-up here is always a `PluginError` that names the place in the file.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp.typedefs import Middleware

from gateway.chain import Chain, Step
from gateway.config import nearest
from gateway.guard import Lifespan, bounded, guarded
from gateway.settings import ConfigError, Settings

# Fields that every exchange has from the start.
ALWAYS_SET = frozenset({"id", "dialect", "started", "notes", "headers", "outcome"})
# Fields that only exchanges with a payload get.
OF_PAYLOAD = frozenset({"payload", "media", "call", "reply"})
# Those of the default chain are trusted and go unguarded.
SHIPPED = frozenset(table["use"] for table in Settings().middlewares)
LONGEST_REASON = 200


class PluginError(ConfigError):
    """A middleware cannot be loaded or is in the wrong place."""


def load(tables: tuple[dict[str, Any], ...]) -> Chain:
    """Build the chain that *tables*, the `[[middlewares]]` of the settings, describe.

    A middleware that requires or provides a field of the payload runs only for exchanges that carry
    one. Raises `PluginError`.
    """
    steps: list[Step] = []
    lifespans: list[Lifespan] = []
    provided = set(ALWAYS_SET)
    for index, table in enumerate(tables):
        place = f"middlewares[{index}]"
        middleware: Middleware = _make(table, place)
        requires, provides = _fields(middleware, place)
        _check_order(requires, provided, place)
        provided |= provides
        name, lifespan = table["use"], _lifespan(middleware, place)
        if name not in SHIPPED:
            middleware = guarded(middleware, name)
            lifespan = lifespan and bounded(lifespan, f"{place}: {name}")
        if lifespan is not None:
            lifespans.append(lifespan)
        for_payloads = bool(OF_PAYLOAD & (requires | provides))
        steps.append(Step(middleware, for_payloads, authenticates="license" in provides))
    return Chain(tuple(steps), tuple(lifespans), frozenset(provided))


def require_whole(chain: Chain) -> None:
    """Raise `PluginError` unless requests can be answered behind *chain*."""
    for needed in ("license", "call"):
        if needed not in chain.provides:
            raise PluginError(
                f"middlewares: none of them provides {needed!r}; a chain is listed in full, as "
                "in the shipped config.toml"
            )


def _make(table: dict[str, Any], place: str) -> Middleware:
    name = table.get("use")
    if not isinstance(name, str) or name.count(":") != 1:
        raise PluginError(f"{place}.use: must be 'package.module:Class', not {name!r}")
    target = _import(name, f"{place}.use")
    options = {key: value for key, value in table.items() if key != "use"}
    if not inspect.isclass(target):
        return _function_middleware(target, options, place)
    arguments = _options(target, options, place)
    try:
        instance: Any = target(*arguments)
    except (Exception, SystemExit) as error:
        raise PluginError(f"{place}: {name} cannot be created: {_reason(error)}") from error
    if not _takes_two(instance):
        raise PluginError(
            f"{place}: {name} is not a middleware: it has no __call__(request, handler)"
        )
    middleware: Middleware = instance
    return middleware


def _takes_two(instance: Any) -> bool:
    """Tell whether *instance* accepts request and handler, and is no generator function."""
    if not callable(instance) or inspect.isasyncgenfunction(instance.__call__):
        return False
    try:
        inspect.signature(instance).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        # Written in C: its signature is unknown.
        return True
    return True


def _reason(error: BaseException) -> str:
    """Return the error of third-party code on one line."""
    text = " ".join(str(error).split())[:LONGEST_REASON]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _import(name: str, place: str) -> Any:
    """Import what *name* refers to; anything that third-party code raises on import is reported."""
    module_name, attribute = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        reason = _reason(error)
        raise PluginError(f"{place}: {module_name!r} cannot be imported: {reason}") from error
    if not hasattr(module, attribute):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise PluginError(
            f"{place}: no {attribute!r} in {module_name}; {nearest(attribute, public)}"
        )
    return getattr(module, attribute)


def _function_middleware(function: Any, options: dict[str, Any], place: str) -> Middleware:
    """Return a function made by `@web.middleware`; its table may hold nothing but `use`."""
    if getattr(function, "__middleware_version__", None) != 1:
        raise PluginError(f"{place}.use: neither a class nor a function made by @web.middleware")
    for key in options:
        raise PluginError(f"{place}: unknown option {key!r}; a plain function takes none")
    middleware: Middleware = function
    return middleware


def _options(class_: Any, options: dict[str, Any], place: str) -> tuple[Any, ...]:
    """Return the arguments of the class *class_*: its checked `Options`, or nothing."""
    options_class = getattr(class_, "Options", None)
    if options_class is None:
        for key in options:
            raise PluginError(f"{place}: unknown option {key!r}; it takes none")
        return ()
    if not dataclasses.is_dataclass(options_class):
        raise PluginError(f"{place}: its Options are not a dataclass")
    names = [field.name for field in dataclasses.fields(options_class)]
    for key in options:
        if key not in names:
            listed = ", ".join(names) or "none"
            raise PluginError(f"{place}: unknown option {key!r}; known: {listed}")
    try:
        return (msgspec.convert(options, options_class, strict=True),)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise PluginError(f"{place}{where.rstrip('`')}: {reason}") from None
    except Exception as error:
        raise PluginError(f"{place}: its Options cannot be created: {_reason(error)}") from error


def _lifespan(middleware: Middleware, place: str) -> Lifespan | None:
    lifespan: Lifespan | None = getattr(middleware, "lifespan", None)
    if lifespan is not None and not inspect.isasyncgenfunction(lifespan):
        raise PluginError(f"{place}: its lifespan must be an async generator with one yield")
    return lifespan


def _fields(middleware: Middleware, place: str) -> tuple[frozenset[str], frozenset[str]]:
    declared = (getattr(middleware, "requires", ()), getattr(middleware, "provides", ()))
    for fields in declared:
        # ("payload") without its comma is a text, which would be read as seven fields.
        if isinstance(fields, str) or not _are_texts(fields):
            detail = f"not {fields!r}" if isinstance(fields, str) else "and nothing else"
            raise PluginError(f"{place}: requires and provides are tuples of texts, {detail}")
    return frozenset(declared[0]), frozenset(declared[1])


def _are_texts(fields: Any) -> bool:
    return isinstance(fields, Iterable) and all(isinstance(one, str) for one in fields)


def _check_order(requires: frozenset[str], provided: set[str], place: str) -> None:
    for missing in sorted(requires - provided):
        is_known = missing in OF_PAYLOAD or missing == "license"
        advice = (
            "put it behind a middleware that does"
            if is_known
            else nearest(missing, [*OF_PAYLOAD, *provided, "license"])
        )
        raise PluginError(
            f"{place}: requires {missing!r}, which nothing before it provides; {advice}"
        )
