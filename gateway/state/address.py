"""The address of a state server: redis-py's clients for it; needs the extra `[redis]`.

The library's defaults would stall the gateway: with a dead server one command takes seconds to
fail, with a hung one half a minute.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

SENTINEL_PORT: Final = 26_379
_SENTINEL_FIELDS: Final = ("sentinel_username", "sentinel_password")


class WrongOption(ValueError):
    """An address lacks its host, or has an impossible option; the message holds no password."""


def library_clients(url: str, timeout_s: float) -> list[Any]:
    """Return the client of the server at *url*, and those of the Sentinels that name it.

    *timeout_s* limits connecting. Raises `ValueError` for an impossible *url*.
    """
    scheme, slashes, _ = url.partition("://")
    make = _MAKERS.get(scheme.lower())
    if make is None or not slashes:
        # Without the slashes the library would take what follows for a path, and go to localhost.
        schemes = ", ".join(f"{name}://" for name in (*_MAKERS, "memory", "embedded"))
        raise ValueError(f"must begin with one of {schemes}")
    return make(url, _options(timeout_s))


def _options(timeout_s: float) -> dict[str, Any]:
    return {
        # The batcher limits the time of a whole batch; the library's own limit costs a timer per
        # command.
        "socket_timeout": None,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
    }


def _single(url: str, options: dict[str, Any]) -> list[Any]:
    redis = Redis.from_url(url, **options)
    pool = redis.connection_pool
    _refuse_unknown(url, type(pool), pool.connection_class)
    try:
        # The library itself checks options only when it connects.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except RedisError as error:
        raise WrongOption(str(error)) from None
    except (TypeError, AttributeError):
        raise WrongOption("an option is of the wrong type") from None
    return [redis]


def _cluster(url: str, options: dict[str, Any]) -> list[Any]:
    _refuse_unknown(url, RedisCluster)
    if not urlsplit(url).hostname:
        raise WrongOption("the address of a Cluster's member is missing")
    return [RedisCluster.from_url(url.replace("+cluster", "", 1), **options)]


def _refuse_unknown(url: str, *classes: type) -> None:
    """Raise `WrongOption` for an option of *url* that none of the library's *classes* knows."""
    ancestors = {
        ancestor for class_ in classes for ancestor in class_.__mro__ if ancestor is not object
    }
    options = {name for ancestor in ancestors for name in signature(ancestor).parameters}
    for name in parse_qs(urlsplit(url).query):
        if name not in options:
            raise WrongOption(f"unknown option {name!r}")


def _sentinel(url: str, options: dict[str, Any]) -> list[Any]:
    """Make clients of `redis+sentinel://user:password@host:port,host:port/service/database`.

    The first is the server's, the others are the Sentinels', to be closed with it. User, password
    and TLS are for the server; those for the Sentinels are in the query: `?sentinel_password=word`,
    and `sentinel_username`.
    """
    parts = urlsplit(url)
    account, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    server = options | {"db": int(database or 0), "ssl": parts.scheme.startswith("rediss")}
    if account:
        username, _, password = account.partition(":")
        server |= {"username": unquote(username) or None, "password": unquote(password)}
    # Otherwise the library passes timeouts only, and its own retries take seconds.
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_address(host) for host in hosts.split(",")],
        sentinel_kwargs=options | _for_sentinels(parts.query),
        **server,
    )
    return [sentinel.master_for(service or "mymaster"), *sentinel.sentinels]


def _for_sentinels(query: str) -> dict[str, str]:
    arguments = {}
    for field in filter(None, query.split("&")):
        name, _, value = field.partition("=")
        if name not in _SENTINEL_FIELDS:
            raise ValueError(f"{name!r} is unknown; known: {', '.join(_SENTINEL_FIELDS)}")
        arguments[name.removeprefix("sentinel_")] = unquote(value)
    return arguments


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a Sentinel's address is missing")
    return parts.hostname, parts.port or SENTINEL_PORT


_MAKERS: Final[dict[str, Callable[[str, dict[str, Any]], list[Any]]]] = {
    "redis": _single,
    "rediss": _single,
    "unix": _single,
    "redis+cluster": _cluster,
    "rediss+cluster": _cluster,
    "redis+sentinel": _sentinel,
    "rediss+sentinel": _sentinel,
}
