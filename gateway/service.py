"""Runs one process: its sockets, signals, start, drain, reload and end.

SIGTERM and SIGINT begin the drain: `/readyz` says so, new requests are refused, listening ends
`drain_listen_s` later, and running requests may take up to `drain_timeout_s` before they are ended.
A second signal ends them at once. SIGHUP reads the configuration again; an invalid one is refused,
and the old one stays.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import structlog
from aiohttp import web

from gateway import __version__
from gateway.drain import Drain
from gateway.keys import DRAIN, METRICS, RELOADERS
from gateway.log import Output, secrets_of
from gateway.network.sockets import BACKLOG, accept_queued, base_urls
from gateway.process import signals
from gateway.process.balancing import BalancedSite, ConnectionShare
from gateway.process.loop_errors import LoopErrors
from gateway.process.loop_watch import watched
from gateway.process.machine import give_back_memory, shrink_tls_buffers
from gateway.routes import admin
from gateway.server.connection_server import ConnectionServer, Runner
from gateway.settings import ConfigError, Settings

# How long ended requests, and then the services of the app, may take to finish.
END_GRACE_S = 5.0
CLEANUP_TIMEOUT_S = 10.0
THREADS_TIMEOUT_S = 1.0
# Requests sent before the client could know that its connection ends arrive within this time.
ARRIVING_S = 0.1
# A proxy takes the connection that it used last, and meets no others that are closed after this.
LEAVING_S = 1.0
GC_ALLOCATIONS = 10_000
RELOADED = ("licenses", "ledger", "models", "limits", "log")

log = structlog.get_logger()


def run(service: "Service") -> int:
    """Run *service* to its end on the fastest event loop available; return the exit status."""
    give_back_memory()
    shrink_tls_buffers()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        status = runner.run(service.run())
        # The runner joins its threads, also one that hangs on a file or a name look-up.
        leaving = threading.Timer(THREADS_TIMEOUT_S, os._exit, (status,))
        leaving.daemon = True
        leaving.start()
    leaving.cancel()
    return status


@dataclass(slots=True)
class Service:
    """One gateway process from start to end.

    *build* makes the app from the settings, *reread* returns the settings at a reload. *worker* is
    1, 2, ... where a parent process started several, which *share* the connections, else 0.
    """

    settings: Settings
    sockets: list[socket.socket]
    output: Output
    build: Callable[[Settings], web.Application]
    reread: Callable[[], Settings]
    worker: int = 0
    share: ConnectionShare | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _stop_now: asyncio.Event = field(default_factory=asyncio.Event)
    _reloading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> int:
        """Serve until told to stop, then drain; return the exit status."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(LoopErrors())
        app = self.build(self.settings)
        runner = Runner(app, self.settings)
        # First of all: a stop during the start must not kill the process.
        self._handle_signals(loop, app)
        with signals.handled():
            try:
                # Services that are still being opened cannot be reloaded.
                async with self._reloading:
                    admin_runner = await self._start(runner, app)
                with watched(loop):
                    await self._stop.wait()
                    await self._drain(runner, app[DRAIN])
                await admin_runner.cleanup()
            finally:
                await self._clean_up(runner)
            log.info("stopped")
        return 0

    async def _start(self, runner: Runner, app: web.Application) -> web.AppRunner:
        """Open the services of the app, then listen; return the runner of the operator's port."""
        await runner.setup()
        app[METRICS].log_dropped.set_function(lambda: self.output.sink.dropped)
        admin_runner = await admin.start(app, self.settings.admin, self.worker)
        await self._listen(runner)
        self._announce()
        # Objects that live from here to the end need not be traversed by each collection.
        gc.collect()
        gc.freeze()
        # Requests leave few cycles behind; Python's default of looking for them after 700
        # allocations costs a tenth of the CPU time.
        gc.set_threshold(GC_ALLOCATIONS, 10, 10)
        return admin_runner

    async def _listen(self, runner: Runner) -> None:
        runner.connections.share = share = self.share
        for sock in self.sockets:
            if share is None:
                await web.SockSite(runner, sock, backlog=BACKLOG).start()
            else:
                await BalancedSite(runner, sock, share).start()

    def terminate(self) -> None:
        """Begin to stop; called again, stop now."""
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    async def _drain(self, runner: Runner, drain: Drain) -> None:
        if listen_s := self.settings.server.drain_listen_s:
            ends = await self._refuse(runner, drain)
            # In this time load balancers see `/readyz`; then proxies are refused, and turn to other
            # machines.
            await asyncio.wait(ends, timeout=listen_s, return_when=asyncio.FIRST_COMPLETED)
            await self._end_listening(runner)
        else:
            # Proxies turn to other machines before any request is refused here.
            drain.leave_connections()
            await self._end_listening(runner)
            await asyncio.sleep(LEAVING_S)
            ends = await self._refuse(runner, drain)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        if drain.count:
            log.warning("ending_requests", running=drain.count)
            drain.end()
            await drain.finished(END_GRACE_S)

    async def _refuse(self, runner: Runner, drain: Drain) -> set[asyncio.Task[object]]:
        """Admit no new request; return two tasks, the first of which to end ends all requests."""
        log.info("draining", running=drain.count)
        drain.begin()
        await asyncio.sleep(ARRIVING_S)
        runner.connections.close_idle()
        finished = asyncio.create_task(self._wait_for_requests(runner.connections, drain))
        return {finished, asyncio.create_task(self._stop_now.wait())}

    async def _end_listening(self, runner: Runner) -> None:
        """Stop listening; clients already in the queue would otherwise be cut without an answer."""
        waiting = [accepted for sock in self.sockets for accepted in accept_queued(sock)]
        for site in runner.sites:
            await site.stop()
        loop = asyncio.get_running_loop()
        for accepted in waiting:
            await loop.connect_accepted_socket(runner.connections, accepted)
        await asyncio.sleep(ARRIVING_S)

    async def _wait_for_requests(self, connections: ConnectionServer, drain: Drain) -> None:
        """Wait, up to the time limit, until every running request is answered and sent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.server.drain_timeout_s):
                await drain.finished(None)
                await connections.flushed()

    async def _clean_up(self, runner: Runner) -> None:
        for reload in self._tasks:
            # Services that are being closed cannot be reloaded either.
            reload.cancel()
        try:
            async with asyncio.timeout(CLEANUP_TIMEOUT_S):
                await runner.cleanup()
        except TimeoutError:
            log.warning("cleanup_cut", after_s=CLEANUP_TIMEOUT_S)

    def _handle_signals(self, loop: asyncio.AbstractEventLoop, app: web.Application) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.terminate)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon, app)
        if self.worker:
            # A worker's standard input is a pipe from its parent: it ends when the parent is gone.
            loop.add_reader(sys.stdin.fileno(), self._orphaned, loop)

    def _orphaned(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(sys.stdin.fileno())
        self.terminate()

    def _reload_soon(self, app: web.Application) -> None:
        task = asyncio.create_task(self._reload(app))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self, app: web.Application) -> None:
        """Apply a changed configuration, or refuse all of it."""
        async with self._reloading:
            if self._stop.is_set():
                return
            try:
                settings = await asyncio.to_thread(self.reread)
            except ConfigError as error:
                log.error("reload_refused", reason=str(error))  # noqa: TRY400 - no trace needed
                return
            secrets = secrets_of(settings)
            # With thousands of licenses this would block the loop.
            await asyncio.to_thread(self.output.secrets.know, secrets)
            self.output.configure(settings.log, secrets)
            for reloader in app[RELOADERS]:
                await reloader(settings)
            log.info(
                "reloaded",
                credentials=len(settings.upstream.credentials),
                licenses=len(settings.licenses),
                restart_needed_for=restart_needed(self.settings, settings),
            )

    def _announce(self) -> None:
        settings = self.settings
        log.info(
            "worker_started" if self.worker else "started",
            listen=base_urls(self.sockets, settings.server.prefix),
            credentials=len(settings.upstream.credentials),
            licenses=len(settings.licenses),
            version=__version__,
            pid=os.getpid(),
        )


def restart_needed(old: Settings, new: Settings) -> list[str]:
    """Return the names of sections that differ and are read only at start."""
    old = msgspec.structs.replace(
        old,
        upstream=msgspec.structs.replace(old.upstream, credentials=new.upstream.credentials),
    )
    names = [field.name for field in msgspec.structs.fields(Settings)]
    return [
        name for name in names if name not in RELOADED and getattr(old, name) != getattr(new, name)
    ]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
