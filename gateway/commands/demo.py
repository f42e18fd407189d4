"""`demo`: the gateway in front of the simulator, on loopback, without any key."""

import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import click
from aiohttp import web
from msgspec.structs import replace

from gateway import config
from gateway.app import build_app
from gateway.commands import exiting_on_error
from gateway.log import Output, secrets_of
from gateway.network.sockets import StartError, base_urls, listen
from gateway.process.machine import check_machine
from gateway.service import Service, run
from gateway.settings import Credential, Database, License, Log, Settings
from gateway.simulator import Simulator

LICENSE = "demo"
HOST = "127.0.0.1"

GUIDE = """\
The gateway runs at {base} in front of a simulator: all answers are simulated,
nothing leaves this machine, no Gemini key is used. The license is "{license}".
For an OpenAI SDK: base URL {base}/v1, key {license}

curl -sS {base}/v1/models -H 'Authorization: {license}'

curl -sS {base}/v1/chat/completions -H 'Content-Type: application/json' \
-H 'Authorization: {license}' -d '{{"model": "gemini-2.5-flash", \
"messages": [{{"role": "user", "content": "Tell me a story"}}]}}'

curl -sSN {base}/v1/chat/completions -H 'Content-Type: application/json' \
-H 'Authorization: {license}' -d '{{"model": "gemini-2.5-flash-thinking", "stream": true, \
"messages": [{{"role": "user", "content": "Tell me a story"}}]}}'

Stop it with Ctrl-C.
"""


@click.command()
@click.option(
    "--port",
    envvar="GATEWAY_SERVER__PORT",
    type=click.IntRange(0, 65_535),
    help="Default: 8080, or a free one if that is taken.",
)
def demo(port: int | None) -> None:
    """Try the gateway without a Gemini key."""
    with exiting_on_error(), tempfile.TemporaryDirectory() as folder:
        check_machine()
        sockets = _sockets(port)
        upstream = listen(HOST, 0)
        settings = demo_settings(base_urls(upstream, "")[0], Path(folder))
        output = Output()
        output.configure(settings.log, secrets_of(settings))

        base = base_urls(sockets, settings.server.prefix)[0]
        simulated = _Simulated(upstream, GUIDE.format(base=base, license=LICENSE))

        def build(settings: Settings) -> web.Application:
            app = build_app(settings)
            app.cleanup_ctx.append(simulated.lifespan)
            return app

        status = run(Service(settings, sockets, output, build, lambda: settings))
        output.sink.flush()
    raise SystemExit(status)


def demo_settings(base_url: str, folder: Path) -> Settings:
    """Return the defaults with the simulator at *base_url*, one license, and files in *folder*."""
    settings = config.read(Path(os.devnull), os.environ)
    return replace(
        settings,
        upstream=replace(
            settings.upstream,
            base_url=base_url,
            credentials=(Credential(name="simulated", key="simulated-key"),),
        ),
        licenses=(License(id="demo", key=LICENSE, owner="demo"),),
        database=Database(url=f"sqlite+aiosqlite:///{folder / 'demo.db'}"),
        log=Log(level="warning"),
    )


class _Simulated:
    """Runs the simulator as long as the gateway, and announces it."""

    def __init__(self, sockets: list[socket.socket], guide: str) -> None:
        self._sockets = sockets
        self._guide = guide

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """Serve from before the gateway listens until it has ended."""
        runner = web.AppRunner(Simulator().app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        for sock in self._sockets:
            await web.SockSite(runner, sock).start()
        click.echo(self._guide)
        yield
        await runner.cleanup()


def _sockets(port: int | None) -> list[socket.socket]:
    try:
        return listen(HOST, Settings().server.port if port is None else port)
    except StartError:
        if port is not None:
            raise
        return listen(HOST, 0)
