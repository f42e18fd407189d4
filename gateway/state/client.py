"""Connections to Valkey or Redis, by redis-py; needs the extra `[redis]`.

The library's defaults would stall the gateway: with a dead server one command takes seconds to
fail, with a hung one half a minute. So it never retries, and whoever sends sets the time.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from gateway.state.lines import Lines, LinesToCluster, LinesToOne, tells_of_loss
from gateway.state.pipe import Command
from gateway.state.store import StoreDown

SENTINEL_PORT: Final = 26_379
# What is raised over replies that are none to what was asked, by the library too.
_NO_SENSE: Final = (TypeError, ValueError, AttributeError, LookupError, struct.error)
# The one of a Cluster is no `RedisError`.
_FAULTS: Final = (RedisError, RedisClusterException, OSError, *_NO_SENSE)
_SENTINEL_FIELDS: Final = ("sentinel_username", "sentinel_password")


class WrongOption(ValueError):
    """What stands behind the `?` of an address cannot be had; told without its password."""


class Client:
    """Sends batches of commands to one server, or to the members of one Cluster.

    *scripts* are the Lua texts by their SHA-1. Raises `ValueError` for an impossible *url*.
    """

    __slots__ = ("_beside", "_has_lost", "_lines", "_redis", "_scripts")

    def __init__(self, url: str, timeout_s: float, scripts: dict[bytes, str]) -> None:
        way = _WAYS.get(urlsplit(url).scheme)
        if way is None:
            raise ValueError(f"must begin with one of {', '.join(_WAYS)}, memory, embedded")
        self._redis, *self._beside = way(url, _options(timeout_s))
        self._scripts = scripts
        self._lines: Lines = (
            LinesToCluster(self._redis)
            if isinstance(self._redis, RedisCluster)
            else LinesToOne(self._redis)
        )
        self._has_lost = False

    async def send(self, commands: list[Command]) -> list[Any]:
        """Give the replies to *commands*, refusals as exceptions among them.

        An `EVALSHA` that the server does not know yet is sent again with its script. Raises
        `StoreDown` when there is no server.
        """
        replies = await self._sent(commands)
        lost = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if lost:
            again = [("EVAL", self._scripts[commands[at][1]], *commands[at][2:]) for at in lost]
            for at, reply in zip(lost, await self._sent(again), strict=True):
                replies[at] = reply
        return replies

    async def run_ids(self) -> set[str]:
        """Give what each server that counts calls its present life, of those that say it.

        Raises `StoreDown` when there is no server.
        """
        try:
            replies = await self._lines.ask_each(("INFO", "server"))
        except _FAULTS as error:
            raise StoreDown(f"{type(error).__name__}: {error}") from None
        return {str(reply["run_id"]) for reply in replies if isinstance(reply, dict)}

    @contextmanager
    def understanding(self) -> Iterator[None]:
        """Raise `StoreDown` for replies that are none to what was asked.

        Who gives them is no state server, and is left for one that may be.
        """
        try:
            yield
        except _NO_SENSE as error:
            self._has_lost = True
            raise StoreDown("the replies are not those of a state server") from error

    async def close(self) -> None:
        """Disconnect."""
        for client in (self._redis, *self._beside):
            await client.aclose()

    async def _sent(self, commands: list[Command]) -> list[Any]:
        try:
            if self._has_lost:
                await self._lines.look_anew()
                self._has_lost = False
            replies = await self._lines.send(commands)
        except _FAULTS as error:
            self._has_lost = True
            raise StoreDown(f"{type(error).__name__}: {error}") from None
        except BaseException:
            self._has_lost = True
            raise
        self._has_lost = any(map(tells_of_loss, replies))
        return replies


def _options(timeout_s: float) -> dict[str, Any]:
    return {
        # The pipe sets the time for a whole batch; the library's own costs a timer per command.
        "socket_timeout": None,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
    }


def _alone(url: str, options: dict[str, Any]) -> list[Any]:
    redis = Redis.from_url(url, **options)
    pool = redis.connection_pool
    _refuse_unknown(url, type(pool), pool.connection_class)
    try:
        # By itself the library looks at options only when it connects.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except RedisError as error:
        raise WrongOption(str(error)) from None
    except (TypeError, AttributeError):
        raise WrongOption("an option is of the wrong type") from None
    return [redis]


def _cluster(url: str, options: dict[str, Any]) -> list[Any]:
    _refuse_unknown(url, RedisCluster)
    return [RedisCluster.from_url(url.replace("+cluster", "", 1), **options)]


def _refuse_unknown(url: str, *takers: type) -> None:
    """Raise `WrongOption` for an option of *url* that none of *takers*, the library's, has."""
    kinds = {kind for taker in takers for kind in taker.__mro__ if kind is not object}
    known = {name for kind in kinds for name in signature(kind).parameters}
    for name in parse_qs(urlsplit(url).query):
        if name not in known:
            raise WrongOption(f"unknown option {name!r}")


def _sentinel(url: str, options: dict[str, Any]) -> list[Any]:
    """Make clients of `redis+sentinel://user:password@host:port,host:port/service/database`.

    The first is the server's, the others are the Sentinels', to be closed with it. User, password
    and TLS are for the server; what the Sentinels want stands behind: `?sentinel_password=word`,
    and `sentinel_username`.
    """
    parts = urlsplit(url)
    account, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    server = options | {"db": int(database or 0), "ssl": parts.scheme.startswith("rediss")}
    if account:
        username, _, password = account.partition(":")
        server |= {"username": unquote(username) or None, "password": unquote(password)}
    # By itself the library hands down timeouts only, and its own retries take seconds.
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_address(host) for host in hosts.split(",")],
        sentinel_kwargs=options | _for_sentinels(parts.query),
        **server,
    )
    return [sentinel.master_for(service or "mymaster"), *sentinel.sentinels]


def _for_sentinels(query: str) -> dict[str, str]:
    told = {}
    for field in filter(None, query.split("&")):
        name, _, value = field.partition("=")
        if name not in _SENTINEL_FIELDS:
            raise ValueError(f"{name!r} is unknown; known: {', '.join(_SENTINEL_FIELDS)}")
        told[name.removeprefix("sentinel_")] = unquote(value)
    return told


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a Sentinel's address is missing")
    return parts.hostname, parts.port or SENTINEL_PORT


_WAYS: Final[dict[str, Callable[[str, dict[str, Any]], list[Any]]]] = {
    "redis": _alone,
    "rediss": _alone,
    "unix": _alone,
    "redis+cluster": _cluster,
    "rediss+cluster": _cluster,
    "redis+sentinel": _sentinel,
    "rediss+sentinel": _sentinel,
}
