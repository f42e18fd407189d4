"""`serve`: runs the gateway; with `--check` only checks whether it would run."""

import asyncio
import os
import socket
from functools import partial
from pathlib import Path

import click
import structlog

from gateway import __version__, config, plugins
from gateway.app import build_app
from gateway.commands import config_option, exiting_on_error
from gateway.database.engine import Database
from gateway.log import Output, secrets_of
from gateway.network.sockets import base_urls, listen
from gateway.process import signals
from gateway.process.balancing import ConnectionShare
from gateway.process.machine import check_machine
from gateway.process.supervisor import Supervisor, worker_command
from gateway.service import Service, run
from gateway.settings import Settings
from gateway.sharing import check_state
from gateway.state.embedded import state_server, with_running_server
from gateway.tracing import check_tracing


@click.command()
@config_option
@click.option("--check", is_flag=True, help="Read and check the configuration, then stop.")
@click.option("--worker", type=int, default=0, hidden=True)
@click.option("--listen-fd", "descriptors", type=int, multiple=True, hidden=True)
@click.option("--counts-fd", "counts", type=int, hidden=True)
def serve(
    path: Path | None,
    worker: int,
    descriptors: tuple[int, ...],
    counts: int | None,
    *,
    check: bool,
) -> None:
    """Run the gateway; this is also what happens without a command."""
    if worker:
        # There is nothing to clean up yet, and whoever ends it waits.
        signals.let_through(signals.ENDING)
    with exiting_on_error():
        check_machine()
        settings = checked(path)
        if check:
            click.echo(_summary(settings))
            return
        with state_server(settings) as settings:
            sockets = _sockets(settings, descriptors)
            share = None if counts is None else ConnectionShare(counts, worker)
            status = _run(path, settings, sockets, worker, share)
    raise SystemExit(status)


def _sockets(settings: Settings, descriptors: tuple[int, ...]) -> list[socket.socket]:
    if descriptors:
        return [socket.socket(fileno=descriptor) for descriptor in descriptors]
    server = settings.server
    return listen(server.host, server.port, lost_after_s=server.send_timeout_s)


def _run(
    path: Path | None,
    settings: Settings,
    sockets: list[socket.socket],
    worker: int,
    share: ConnectionShare | None,
) -> int:
    output = Output()
    output.configure(settings.log, secrets_of(settings))
    try:
        if settings.server.workers > 1 and not worker:
            return _supervise(path, settings, sockets)
        reread = partial(checked, path)
        return run(Service(settings, sockets, output, build_app, reread, worker, share))
    finally:
        output.sink.flush()


def checked(path: Path | None) -> Settings:
    """Read and check everything that can be wrong, before anything listens.

    Raises `ConfigError`, and nothing else whatever the file at *path* holds.
    """
    settings = with_running_server(config.load(path))
    config.require_credentials(settings)
    plugins.require_whole(plugins.load(settings.middlewares))
    check_state(settings)
    check_tracing(settings)
    Database(settings.database.url)
    return settings


def _summary(settings: Settings) -> str:
    return (
        f"The configuration is valid: {len(settings.upstream.credentials)} credentials, "
        f"{len(settings.licenses)} fixed licenses, {len(settings.middlewares)} middlewares."
    )


def _supervise(path: Path | None, settings: Settings, sockets: list[socket.socket]) -> int:
    structlog.get_logger().info(
        "started",
        listen=base_urls(sockets, settings.server.prefix),
        credentials=len(settings.upstream.credentials),
        licenses=len(settings.licenses),
        workers=settings.server.workers,
        version=__version__,
        pid=os.getpid(),
    )
    command = worker_command([f"--config={path}"] if path else [])
    server = settings.server
    supervisor = Supervisor(command, sockets, server.workers, server.drain_timeout_s)
    return asyncio.run(supervisor.run())
