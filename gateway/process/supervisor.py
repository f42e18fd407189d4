"""The parent of several gateway processes on one port: starts, restarts, signals, ends them.

The parent binds the sockets and hands them down, so that a connection waiting in the queue outlives
a worker that dies. A worker's standard input is a pipe from the parent: at its end the worker
drains, so that none is left behind when the parent is killed. A worker that does not end when told
to, because it hangs, is killed.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from gateway.process import signals
from gateway.process.balancing import ConnectionShare, shared_counts

# A worker that exits with this status found a problem that a restart does not fix.
FATAL_STATUS = 78
# A worker that lived this long was healthy; its next restart is quick again.
WELL_AFTER_S = 60.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# How long a worker may take to exit once its requests have finished or were ended.
ENDING_S = 20.0

log = structlog.get_logger()


def pause_s(deaths: int) -> float:
    """Return how long to wait after *deaths* quick deaths in a row."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (deaths - 1))


class Supervisor:
    """Keeps *count* workers running; each is *command* with `--worker N` and what it inherits.

    *drain_timeout_s* is the time each worker gives its requests when told to stop.
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        count: int,
        drain_timeout_s: float,
    ) -> None:
        self._command = command
        self._sockets = sockets
        self._count = count
        self._drain_timeout_s = drain_timeout_s
        self._counts = shared_counts(count)
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Run until told to stop; return the exit status."""
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._signal_all, signal.SIGHUP)
        try:
            with signals.handled():
                async with asyncio.TaskGroup() as group:
                    for number in range(1, self._count + 1):
                        group.create_task(self._keep_running(number))
        finally:
            os.close(self._counts)
        return self._status

    async def _keep_running(self, number: int) -> None:
        """Start worker *number*, and restart it whenever it dies."""
        deaths, first = 0, True
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._run_worker(number)
            if self._stopping.is_set():
                break
            # Later the cause is a changed file: the other workers keep their settings.
            if status == FATAL_STATUS and first:
                self._status = status
                self._stop()
                break
            first = first and status is None
            deaths = 1 if time.monotonic() - started > WELL_AFTER_S else deaths + 1
            log.error("worker_died", worker=number, status=status, restart_in_s=pause_s(deaths))
            await self._pause(pause_s(deaths))

    async def _run_worker(self, number: int) -> int | None:
        """Run worker *number* to its end; return its exit status, None if it could not start."""
        descriptors = [sock.fileno() for sock in self._sockets]
        inherited = [f"--listen-fd={descriptor}" for descriptor in descriptors]
        # Inherited by the worker; a reload that arrives before it has a handler would kill it.
        signals.hold(signals.RELOAD)
        try:
            # A session of its own: Ctrl-C reaches only the parent, which signals the workers once.
            worker = await asyncio.create_subprocess_exec(
                *self._command,
                f"--worker={number}",
                *inherited,
                f"--counts-fd={self._counts}",
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[*descriptors, self._counts],
                start_new_session=True,
            )
        except OSError as error:
            # If there is no room for a process now, there may be later.
            log.error("worker_not_started", worker=number, reason=error.strerror)  # noqa: TRY400
            return None
        finally:
            signals.let_through(signals.RELOAD)
        self._workers[number] = worker
        if self._stopping.is_set():
            worker.send_signal(signal.SIGTERM)
        try:
            return await worker.wait()
        finally:
            # One that was killed could not do that itself.
            ConnectionShare(self._counts, number).leave()
            del self._workers[number]

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _stop(self) -> None:
        """Tell all workers to stop; called again, to stop soon."""
        patience_s = ENDING_S + (0.0 if self._stopping.is_set() else self._drain_timeout_s)
        asyncio.get_running_loop().call_later(patience_s, self._kill)
        self._stopping.set()
        # Otherwise clients that connect meanwhile would wait for the last worker in vain.
        for sock in self._sockets:
            sock.close()
        self._signal_all(signal.SIGTERM)

    def _kill(self) -> None:
        log.error("workers_killed", workers=sorted(self._workers))
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in tuple(self._workers.values()):
            with suppress(ProcessLookupError):
                worker.send_signal(number)


def worker_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that starts a worker with the *arguments* of `serve`."""
    return [sys.executable, "-m", "gateway", "serve", *arguments]
