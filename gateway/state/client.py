"""Connections to Valkey or Redis, by redis-py; needs the extra `[redis]`.

The client never retries, and the caller sets the time limit.
"""

import asyncio
import struct
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from gateway.state.address import library_clients
from gateway.state.batcher import Command, PatientTimeout
from gateway.state.store import StoreDown
from gateway.state.transport import ClusterTransport, ServerTransport, Transport, means_server_lost

# Raised here and in the library by replies that do not fit the commands.
_MALFORMED: Final = (TypeError, ValueError, AttributeError, LookupError, struct.error)
# The exception for Clusters is no `RedisError`.
_FAILURES: Final = (RedisError, RedisClusterException, OSError, *_MALFORMED)


class Client:
    """Sends batches of commands to one server, or to the members of one Cluster.

    *scripts* are the Lua texts by their SHA-1; *timeout_s* limits connecting. Raises `ValueError`
    for an impossible *url*.
    """

    __slots__ = (
        "_connecting",
        "_has_failed",
        "_redis",
        "_scripts",
        "_sentinels",
        "_timeout_s",
        "_transport",
    )

    def __init__(self, url: str, timeout_s: float, scripts: dict[bytes, str]) -> None:
        self._redis, *self._sentinels = library_clients(url, timeout_s)
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

    async def info(self, section: str) -> list[dict[str, Any]]:
        """Return the *section* of each server that counts, as far as servers tell theirs.

        Raises `StoreDown` when there is no server.
        """
        try:
            replies = await self._transport.ask_each(("INFO", section))
        except _FAILURES as error:
            raise StoreDown(f"{type(error).__name__}: {error}") from None
        return [reply for reply in replies if isinstance(reply, dict)]

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
