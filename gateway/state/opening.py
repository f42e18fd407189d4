"""Makes the store that the settings name."""

from gateway.config import ConfigError
from gateway.settings import Settings
from gateway.state.memory import MemoryStore
from gateway.state.store import StateStore


def make_store(settings: Settings) -> StateStore:
    """Make the store of `[state] url`; nothing is connected before it is opened.

    Raises `ConfigError` for an address that cannot be understood or an extra that is missing.
    """
    url = settings.state.url
    if url.startswith("memory:"):
        return MemoryStore()
    try:
        from gateway.state.guarded import GuardedStore
        from gateway.state.valkey import ValkeyStore
    except ImportError as error:
        raise ConfigError(
            f"state.url: a state server needs the extra gateway[redis] ({error.name} is missing)"
        ) from None
    try:
        shared = ValkeyStore(url, settings.state.namespace)
    except ValueError as error:
        raise ConfigError(f"state.url: {error}") from None
    return GuardedStore(shared, settings.limits.on_store_failure)
