"""Adds the configured store to the app, and the services that share data through it."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.healing import LearnedRefusals
from gateway.keys import MEMORIES, METRICS, READINESS, REFUSALS, RELOADERS, STATE
from gateway.process.imports import without
from gateway.process.memory_room import kept_bytes
from gateway.settings import ConfigError, Settings, State
from gateway.state.embedded import STARTED, is_embedded, server_binary
from gateway.state.local_memories import LocalMemories
from gateway.state.memories import SharedMemories
from gateway.state.memory import MemoryStore
from gateway.state.refusals import SharedRefusals

if TYPE_CHECKING:
    # Needs the extra [redis].
    from gateway.state.guarded import GuardedStore
    from gateway.state.valkey import ValkeyStore

# redis-py imports it if it is there, for metrics that nobody asks for.
_METRICS_OF_LIBRARY = "opentelemetry"
# Errors of addresses that quote nothing of them; the library's may contain a part of the password.
_HARMLESS = ("must begin with ", "a Sentinel's address ")
_NOT_UNDERSTOOD = (
    "cannot be understood; ports are numbers, and in user and password / # ? @ : are written "
    "%2F %23 %3F %40 %3A"
)


def add_state(app: web.Application, settings: Settings) -> None:
    """Add store, memories and refusals to *app*, which has `READINESS`, `RELOADERS`, `METRICS`.

    Raises `ConfigError`.
    """
    app[STATE] = store = make_store(settings)
    local = LocalMemories(max_bytes=kept_bytes(settings.server.workers))
    app[MEMORIES] = local if isinstance(store, MemoryStore) else SharedMemories(local, store)
    app[REFUSALS] = SharedRefusals(LearnedRefusals(time.monotonic), store)
    app[READINESS].append(store.check)
    app[RELOADERS].append(store.reload)
    app[METRICS].store_up.set_function(lambda: not store.degraded)
    app[METRICS].degraded.set_function(lambda: store.degraded)
    app.cleanup_ctx.append(_running)


def make_store(settings: Settings) -> "MemoryStore | GuardedStore":
    """Make the store of `[state] url`; it connects only when opened.

    Raises `ConfigError` for an invalid address or a missing extra.
    """
    if settings.state.url.startswith("memory:"):
        return MemoryStore()
    try:
        with without(_METRICS_OF_LIBRARY):
            from gateway.state.guarded import GuardedStore

        shared = _make_shared_store(settings.state)
    except ImportError as error:
        raise ConfigError(
            f"state.url: a state server needs the extra gateway[redis] ({error.name} is missing)"
        ) from None
    return GuardedStore(shared, settings.limits.on_store_failure)


def _make_shared_store(state: State) -> "ValkeyStore":
    """Make the store that processes share. Raises `ConfigError` and `ImportError`."""
    from gateway.state.address import WrongOption
    from gateway.state.embedded_store import EmbeddedStore
    from gateway.state.valkey import ValkeyStore

    try:
        if state.url.startswith(STARTED):
            folder = Path(state.url.removeprefix(STARTED))
            return EmbeddedStore(folder, state.namespace, timeout_s=state.timeout_s)
        return ValkeyStore(state.url, state.namespace, timeout_s=state.timeout_s)
    except WrongOption as error:
        raise ConfigError(f"state.url: {error}") from None
    except ValueError as error:
        message = str(error)
        reason = message if message.startswith(_HARMLESS) else _NOT_UNDERSTOOD
        raise ConfigError(f"state.url: {reason}") from None


def check_state(settings: Settings) -> None:
    """Raise `ConfigError` unless `[state] url` is valid; nothing is connected."""
    # Making the store of a running server would take a worker's place there.
    if is_embedded(settings.state.url):
        server_binary()
    else:
        make_store(settings)


async def _running(app: web.Application) -> AsyncIterator[None]:
    store = app[STATE]
    await store.open()
    yield
    await store.close()
