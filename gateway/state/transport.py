"""How commands reach their server, by the connections of redis-py; needs the extra `[redis]`.

A connection is kept for the next batch: taking it from the library's pool each time, and a pipeline
for each batch, cost several times as much as the request itself.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final, Protocol

from hiredis import pack_command
from redis.asyncio import Connection, Redis, RedisCluster
from redis.exceptions import ClusterDownError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as LateAnswer

from gateway.state.batcher import Command

_SERVER_LOST: Final = (LostConnection, LateAnswer, ClusterDownError, ReadOnlyError)


class Transport(Protocol):
    """The connection to a server, or to the members of a Cluster."""

    @property
    def is_connected(self) -> bool:
        """Tell whether commands can be sent at once, as far as known."""

    async def connect(self) -> None:
        """Connect for the next `send`. Raises what the library raises."""

    async def send(self, commands: list[Command]) -> list[Any]:
        """Return the replies to *commands*, with refusals as exceptions among them.

        Raises what the library raises.
        """

    async def ask_each(self, command: Command) -> list[Any]:
        """Return the reply of each server that counts to *command*, refusals as exceptions.

        Raises what the library raises.
        """

    async def find_servers_anew(self) -> None:
        """Find out who is the master now: another server may have replaced a lost one."""


class ServerTransport:
    """The connection to one server, or to the master that Sentinels name."""

    __slots__ = ("_idle", "_redis")

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._idle: list[Connection] = []

    @property
    def is_connected(self) -> bool:
        """Tell whether a connection is idle."""
        return bool(self._idle)

    async def connect(self) -> None:
        """Connect, and leave the connection idle."""
        self._idle.append(await self._acquire())

    async def send(self, commands: list[Command]) -> list[Any]:
        """Send all at once, on a connection that nobody else uses meanwhile."""
        connection = await self._acquire()
        try:
            packed = b"".join(map(pack_command, commands))
            await connection.send_packed_command(packed, check_health=False)
            replies = [await self._reply(connection, command) for command in commands]
        except BaseException:
            # Late replies would be taken for those to the next batch.
            await self._disconnect(connection)
            raise
        self._idle.append(connection)
        return replies

    async def ask_each(self, command: Command) -> list[Any]:
        """Ask the only server."""
        return await self.send([command])

    async def find_servers_anew(self) -> None:
        """Reconnect: a server that became a replica lives on, and so do its connections."""
        while self._idle:
            await self._disconnect(self._idle.pop())

    async def _acquire(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            with suppress(LostConnection):
                # A healthy connection has nothing to read, not even its end.
                if not await connection.can_read():
                    return connection
            await self._disconnect(connection)
        new: Connection = await self._redis.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        return new

    async def _reply(self, connection: Connection, command: Command) -> Any:
        try:
            return await self._redis.parse_response(connection, command[0])
        except ResponseError as refusal:
            return refusal

    async def _disconnect(self, connection: Connection) -> None:
        await connection.disconnect(nowait=True)
        await self._redis.connection_pool.release(connection)


class ClusterTransport:
    """The connections to the members of a Cluster; each gets the commands for its slots."""

    __slots__ = ("_cluster",)

    is_connected = True

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster = cluster

    async def connect(self) -> None:
        """Do nothing: the library connects to a member when it has commands for it."""

    async def send(self, commands: list[Command]) -> list[Any]:
        """Send to all members at once."""
        pipeline = self._cluster.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def ask_each(self, command: Command) -> list[Any]:
        """Ask every master separately: one that is down does not hide the others."""
        pending = []
        for master in self._cluster.get_primaries():
            pipeline = self._cluster.pipeline(transaction=False)
            pipeline.execute_command(*command, target_nodes=master)
            pending.append(pipeline.execute(raise_on_error=False))
        replies = await asyncio.gather(*pending, return_exceptions=True)
        return [reply[0] if isinstance(reply, list) else reply for reply in replies]

    async def find_servers_anew(self) -> None:
        """Ask who has which slots: the library does so after single commands, not batches."""
        await self._cluster.nodes_manager.initialize()


def means_server_lost(reply: Any) -> bool:
    """Tell whether *reply* came from no master, or nobody; older ones blame a script."""
    if not isinstance(reply, RedisError):
        return False
    return isinstance(reply, _SERVER_LOST) or "READONLY" in str(reply)
