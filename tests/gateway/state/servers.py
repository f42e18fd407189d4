"""Valkey servers on ports of their own: a Cluster, and a master with its replica and Sentinel."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from gateway.state.embedded import server_binary
from tests.patience import HANGING_S

# Where the slots of each of three masters begin.
BORDERS = (0, 5_461, 10_922, 16_384)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Server:
    """One server in *folder* on a port of 127.0.0.1, started with *words*."""

    def __init__(self, folder: Path, *words: str, port: int = 0, password: str = "") -> None:
        folder.mkdir()
        self._password = password
        self.port = port or free_port()
        self._folder = folder
        self._command = [
            *(server_binary(), *words),
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            # A replica is copied to at once; by default it waits five seconds for more of them.
            *("--repl-diskless-sync-delay", "0"),
        ]
        self.start()

    def start(self) -> None:
        """Run it, anew after `kill`: with nothing in it then."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, cwd=self._folder)
        deadline = time.monotonic() + HANGING_S
        while not self.answers():
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.01)

    def command(self, *words: object) -> Any:
        with Redis(port=self.port, password=self._password) as client:
            return client.execute_command(*words)

    def answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except (RedisError, OSError):
            return False

    def stop(self) -> None:
        """Have it hang: its connections stay open and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Member(Server):
    """A member of a Cluster; others meet it at its *bus*, and give it up after a second."""

    def __init__(self, folder: Path) -> None:
        self.bus = free_port()
        words = ["--cluster-enabled", "yes", "--cluster-port", str(self.bus), "--save", ""]
        words += ["--cluster-node-timeout", "1000", "--cluster-announce-ip", "127.0.0.1"]
        super().__init__(folder, *words)

    def is_well(self) -> bool:
        return b"cluster_state:ok" in self.command("CLUSTER", "INFO")


def cluster(folder: Path) -> Server:
    """Run a Cluster of one member that holds all slots."""
    server = Member(folder)
    server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    return server


class Three:
    """A Cluster of three masters, the first with a replica that takes its place when it dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.masters = [Member(folder / f"master-{number}") for number in range(3)]
        self.replica = Member(folder / "replica")
        self.members = [*self.masters, self.replica]
        first = self.masters[0]
        for member in self.members[1:]:
            member.command("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus)
        for master, begin, end in zip(self.masters, BORDERS, BORDERS[1:], strict=False):
            master.command("CLUSTER", "ADDSLOTSRANGE", begin, end - 1)

    async def join(self) -> None:
        """Wait until all know one another, and the replica follows the first master."""
        name = self.masters[0].command("CLUSTER", "MYID")

        async def follows() -> bool:
            try:
                self.replica.command("CLUSTER", "REPLICATE", name)
            except RedisError:
                return False
            return True

        async def well() -> bool:
            return all(member.is_well() for member in self.members) and self._is_linked()

        await eventually(follows)
        await eventually(well)

    async def has_copied(self) -> bool:
        """Tell whether the replica has as many keys as the first master."""
        return self.replica.command("DBSIZE") == self.masters[0].command("DBSIZE") > 0

    def _is_linked(self) -> bool:
        return self.replica.command("ROLE")[3] == b"connected"

    def kill(self) -> None:
        for member in self.members:
            member.kill()


def sentinel(folder: Path, master: Server, password: str = "") -> Server:
    """Run a Sentinel that decides alone, and soon, that *master* is dead."""
    folder.mkdir()
    config = folder / "sentinel.conf"
    config.write_text(
        f"sentinel monitor orders 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds orders 400\n"
        "sentinel failover-timeout orders 2000\n"
        f'requirepass "{password}"\n'
    )
    return Server(folder / "run", str(config), "--sentinel", password=password)


@asynccontextmanager
async def odd_server(socket_path: Path, reply: bytes) -> AsyncIterator[None]:
    """Answer *reply* to every command, whatever was asked."""

    async def serve(reader, writer):
        while head := await reader.readline():
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                await reader.readexactly(size + len(b"\r\n"))
            writer.write(reply)
        writer.close()

    socket_path.unlink(missing_ok=True)
    async with await asyncio.start_unix_server(serve, socket_path):
        yield


@asynccontextmanager
async def distant(socket_path: Path, server: Path, answers_after_s: float) -> AsyncIterator[None]:
    """Pass everything on to the *server* and back, as over a long way."""

    async def pass_on(reader, writer, delay_s):
        while data := await reader.read(65_536):
            await asyncio.sleep(delay_s)
            writer.write(data)
        writer.close()

    async def serve(reader, writer):
        there, back = await asyncio.open_unix_connection(server)
        await asyncio.gather(pass_on(reader, back, 0.0), pass_on(there, writer, answers_after_s))

    async with await asyncio.start_unix_server(serve, socket_path):
        yield


async def eventually(condition, seconds: float = HANGING_S) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)
