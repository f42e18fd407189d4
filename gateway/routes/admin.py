"""The operator's port: `/metrics`, on loopback unless configured otherwise."""

from aiohttp import web

from gateway.keys import DRAIN, METRICS
from gateway.network.sockets import listen
from gateway.records.metrics import CONTENT_TYPE
from gateway.settings import Admin


async def start(app: web.Application, settings: Admin, worker: int) -> web.AppRunner:
    """Serve the metrics of *app*; each *worker* (1, 2, ...) has the next port.

    Raises `StartError` when the port is taken.
    """
    metrics, drain = app[METRICS], app[DRAIN]
    metrics.inflight.set_function(lambda: drain.count)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=await metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    own = web.Application()
    own.router.add_get("/metrics", exposition)
    runner = web.AppRunner(own, access_log=None)
    await runner.setup()
    if settings.port:
        port = settings.port + max(0, worker - 1)
        for sock in listen(settings.host, port):
            await web.SockSite(runner, sock).start()
    return runner
