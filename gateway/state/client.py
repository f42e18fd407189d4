"""Connections to Valkey or Redis, by redis-py; needs the extra `[redis]`.

The library's defaults would stall the gateway: with a dead server one command takes seconds to
fail, with a hung one half a minute. So the client never retries, and the caller sets the time
limit.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from gateway.state.batcher import Command, PatientTimeout
from gateway.state.store import StoreDown
from gateway.state.transport import ClusterTransport, ServerTransport, Transport, means_server_lost

SENTINEL_PORT: Final = 26_379
# Raised here and in the library by replies that do not fit the commands.
_MALFORMED: Final = (TypeError, ValueError, AttributeError, LookupError, struct.error)
# The exception for Clusters is no `RedisError`.
_FAILURES: Final = (RedisError, RedisClusterException, OSError, *_MALFORMED)
_SENTINEL_FIELDS: Final = ("sentinel_username", "sentinel_password")


class WrongOption(ValueError):
    """The query of an address contains an impossible option; the message holds no password."""


class Client:
    """Sends batches of commands to one server, or to the members of one Cluster.

    *scripts* are the Lua texts by their SHA-1; *timeout_s* limits connecting. Raises `ValueError`
    for an impossible *url*.
    """

    __slots__ = (
        *("_connecting", "_has_failed", "_redis", "_scripts", "_sentinels", "_timeout_s"),
        "_transport",
    )

    def __init__(self, url: str, timeout_s: float, scripts: dict[bytes, str]) -> None:
        make_clients = _CLIENT_MAKERS.get(urlsplit(url).scheme)
        if make_clients is None:
            raise ValueError(
                f"must begin with one of {', '.join(_CLIENT_MAKERS)}, memory, embedded"
            )
        self._redis, *self._sentinels = make_clients(url, _options(timeout_s))
        self._timeout_s = timeout_s
        self._scripts = scripts
        self._transport: Transport = (
            ClusterTransport(self._redis)
            if isinstance(self._redis, RedisCluster)
            else ServerTransport(self._redis)
        )
        self._has_failed = False
        self._connecting: asyncio.Task[None] | None = None

    def connect(self) -> Awaitable[None] | None:
        """Return what to await before commands can be sent, or None if a connection is there.

        It raises `StoreDown` when there is no server. Who waits may leave: connecting takes several
        round trips, perhaps longer than one batch may take, and goes on for the next one.
        """
        if self._transport.is_connected and not self._has_failed:
            return None
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        return asyncio.shield(self._connecting)

    async def send(self, commands: list[Command]) -> list[Any]:
        """Return the replies to *commands*, with refusals as exceptions among them.

        An `EVALSHA` that the server does not know yet is sent again with its script. Raises
        `StoreDown` when there is no server.
        """
        replies = await self._send_batch(commands)
        unknown_scripts = [
            index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)
        ]
        if unknown_scripts:
            with_scripts = [
                ("EVAL", self._scripts[commands[index][1]], *commands[index][2:])
                for index in unknown_scripts
            ]
            for index, reply in zip(
                unknown_scripts, await self._send_batch(with_scripts), strict=True
            ):
                replies[index] = reply
        return replies

    async def run_ids(self) -> set[str]:
        """Return the run id of each server that counts, as far as servers tell theirs.

        Raises `StoreDown` when there is no server.
        """
        try:
            replies = await self._transport.ask_each(("INFO", "server"))
        except _FAILURES as error:
            raise StoreDown(f"{type(error).__name__}: {error}") from None
        return {str(reply["run_id"]) for reply in replies if isinstance(reply, dict)}

    @contextmanager
    def checking_replies(self) -> Iterator[None]:
        """Guard the reading of replies: raises `StoreDown` as `raise_if_malformed` does."""
        try:
            yield
        except Exception as error:
            self.raise_if_malformed(error)
            raise

    def raise_if_malformed(self, error: BaseException) -> None:
        """Raise `StoreDown` if *error* came from replies that do not fit their commands.

        A server that sends such replies is no state server, so another one is looked for.
        """
        if isinstance(error, _MALFORMED):
            self._has_failed = True
            raise StoreDown("the replies are not those of a state server") from error

    async def close(self) -> None:
        """Disconnect."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for client in (self._redis, *self._sentinels):
            await client.aclose()

    async def _connect(self) -> None:
        try:
            with PatientTimeout(self._timeout_s):
                if self._has_failed:
                    await self._transport.find_servers_anew()
                    self._has_failed = False
                await self._transport.connect()
        except BaseException as error:
            self._note_failure(error)
            raise

    async def _send_batch(self, commands: list[Command]) -> list[Any]:
        while (connecting := self.connect()) is not None:
            await connecting
        try:
            replies = await self._transport.send(commands)
        except BaseException as error:
            self._note_failure(error)
            raise
        self._has_failed = any(map(means_server_lost, replies))
        return replies

    def _note_failure(self, error: BaseException) -> None:
        """Note *error*; raise `StoreDown` if it is one of the connection or the server."""
        self._has_failed = True
        if isinstance(error, _FAILURES):
            raise StoreDown(f"{type(error).__name__}: {error}") from None


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


_CLIENT_MAKERS: Final[dict[str, Callable[[str, dict[str, Any]], list[Any]]]] = {
    "redis": _single,
    "rediss": _single,
    "unix": _single,
    "redis+cluster": _cluster,
    "rediss+cluster": _cluster,
    "redis+sentinel": _sentinel,
    "rediss+sentinel": _sentinel,
}
