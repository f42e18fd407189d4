"""A `Service` with a small app of its own, run as a process by the tests of stopping and reloading.

Arguments: the configuration's path, then those that a `Supervisor` adds.
"""

import asyncio
import os
import socket
import sys
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web

from gateway import config
from gateway.drain import Drain
from gateway.keys import CREDENTIALS, DRAIN, METRICS, READINESS, RELOADERS
from gateway.log import Output
from gateway.network.sockets import listen
from gateway.process.balancing import ConnectionShare
from gateway.records.metrics import Metrics
from gateway.routes import health
from gateway.service import Service, run


@web.middleware
async def entered(request: web.Request, handler):
    drain = request.app[DRAIN]
    if request.path == "/readyz":
        return await handler(request)
    task = drain.enter()
    try:
        return await handler(request)
    except asyncio.CancelledError:
        if drain.over:
            return web.Response(status=503, text="told to end")
        raise
    finally:
        drain.leave(task)


async def stream(request: web.Request) -> web.StreamResponse:
    """Send a dot every 20 ms, as many as asked for."""
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        for _ in range(int(request.query["n"])):
            await response.write(b".")
            await asyncio.sleep(0.02)
        await response.write(b"whole")
    except asyncio.CancelledError:
        if not request.app[DRAIN].over:
            raise
        await response.write(b"told to end")
    return response


async def wait(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response()


async def pid(_: web.Request) -> web.Response:
    return web.Response(text=str(os.getpid()))


def build(settings) -> web.Application:
    async def taken_over(new) -> None:
        structlog.get_logger().info("took_over", port=new.server.port)

    app = web.Application(middlewares=[entered])
    app[DRAIN], app[READINESS], app[METRICS] = Drain(), [], Metrics()
    app[CREDENTIALS], app[RELOADERS] = list, [taken_over]
    app.router.add_routes(health.routes())
    for handler in (stream, wait, pid):
        app.router.add_get(f"/{handler.__name__}", handler)
    return app


def load_again(path: Path):
    """Hang first, as on a file system that does not answer, if there is a pipe to hang on."""
    pipe = path.with_suffix(".pipe")
    if pipe.exists():
        pipe.read_bytes()
    return config.load(path)


def main(path: Path, *rest: str) -> int:
    options = dict(argument.lstrip("-").split("=") for argument in rest)
    settings = config.load(path)
    output = Output()
    output.configure(settings.log, ())
    if "listen-fd" in options:
        sockets = [socket.socket(fileno=int(options["listen-fd"]))]
    else:
        sockets = listen(settings.server.host, settings.server.port)
    worker = int(options.get("worker", 0))
    share = ConnectionShare(int(options["counts-fd"]), worker) if "counts-fd" in options else None
    reread = partial(load_again, path)
    status = run(Service(settings, sockets, output, build, reread, worker, share))
    output.sink.flush()
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
