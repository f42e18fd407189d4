"""The running simulator: its routes, and the way of each request through them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from gateway.simulator import app_keys, file_routes, keys, model_routes
from gateway.simulator.faults import FAULT, Fault, Script
from gateway.simulator.files import Files
from gateway.simulator.models import MODELS, Model
from gateway.simulator.received import RECEIVED, Received
from gateway.simulator.refusal import Refusal
from gateway.simulator.sending import send_json

_LARGEST_BODY = 2**31
_KEPT = 10_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """Gemini on a socket of its own: `async with Simulator() as simulator: simulator.url`.

    *keys* gives the standing of keys that are not good; every other key is accepted. *models* may
    replace the table. *caches* gives the key that each cached content belongs to, None for any.
    *received* holds the latest requests; `script` makes the next ones fail.
    """

    def __init__(
        self,
        *,
        keys: dict[str, keys.Standing] | None = None,
        models: dict[str, Model] | None = None,
        caches: dict[str, str | None] | None = None,
        polls: int = 1,
    ) -> None:
        self.keys = keys or {}
        self.models = MODELS if models is None else models
        self.caches: dict[str, str | None] = (
            {"cachedContents/simulated": None} if caches is None else caches
        )
        self.files = Files(polls)
        self.received: deque[Received] = deque(maxlen=_KEPT)
        self._script = Script()
        self.script = self._script.add
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on *host* and *port* (0: a free one); `url` is known from then on."""
        runner = web.AppRunner(
            self.app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        self._runner = runner
        self.url = f"http://{host}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def app(self) -> web.Application:
        """Return the application, for another runner."""
        app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._receive])
        app[app_keys.MODEL_TABLE] = self.models
        app[app_keys.FILES] = self.files
        app[app_keys.CACHES] = self.caches
        version = "/{version:v1beta|v1}"
        app.add_routes(
            [
                web.get(f"{version}/models", model_routes.models),
                web.get(f"{version}/models/{{model:[^/:]+}}", model_routes.model),
                web.post(f"{version}/models/{{model:[^/:]+}}:{{action}}", model_routes.act),
                web.get(f"{version}/cachedContents/{{name:[^/:]+}}", model_routes.cached_content),
                *file_routes.routes(version),
            ]
        )
        return app

    def reset(self) -> None:
        """Forget the script and what was received."""
        self._script.clear()
        self.received.clear()

    @web.middleware
    async def _receive(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record the request, apply its fault, and put refusals into Google's envelope."""
        received = request[RECEIVED] = _received(request)
        self.received.append(received)
        try:
            response = await self._answer(request, received, handler)
            received.status = response.status
        except (asyncio.CancelledError, ConnectionResetError):
            received.cancelled = True
            raise
        else:
            return response
        finally:
            received.done.set()

    async def _answer(
        self, request: web.Request, received: Received, handler: Handler
    ) -> web.StreamResponse:
        fault = request[FAULT] = self._script.take(received) or Fault()
        try:
            received.body = await _json(request)
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if fault.replaces:
                return fault.response()
            # The address of an upload in progress needs no key.
            if "upload_id" not in request.query:
                keys.check(received.key, received.model, self.keys.get(received.key, "good"))
            return await handler(request)
        except Refusal as refusal:
            # A stream that is no event stream is one JSON array, including its errors.
            listed = (
                received.action == "streamGenerateContent" and request.query.get("alt") != "sse"
            )
            body = [refusal.body()] if listed else refusal.body()
            return send_json(body, refusal.status)
        except RecursionError:
            return send_json(Refusal("The nesting of the request is too deep.").body(), 400)
        except web.HTTPNotFound:
            return web.Response(
                status=404,
                body=b"<!DOCTYPE html><title>Error 404</title>",
                content_type="text/html",
            )


async def start(host: str = "127.0.0.1", port: int = 0) -> Simulator:
    """Return a running simulator."""
    simulator = Simulator()
    await simulator.start(host, port)
    return simulator


def _received(request: web.Request) -> Received:
    return Received(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        key=request.headers.get("x-goog-api-key") or request.query.get("key", ""),
        model=request.match_info.get("model", ""),
        action=request.match_info.get("action", ""),
    )


async def _json(request: web.Request) -> Any:
    """Return the parsed body, None if it is empty or an upload; refuse what is not JSON."""
    if request.method != "POST" or "upload_id" in request.query:
        return None
    raw = await request.read()
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as error:
        request[RECEIVED].body = raw
        raise Refusal(f"Invalid JSON payload received. {error}") from error
