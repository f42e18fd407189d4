"""The table of contents: routes, handlers, the middleware chain and the services behind them."""

import time
from collections.abc import AsyncIterator

from aiohttp import web

from gateway import relay
from gateway.accounts import add_accounts
from gateway.catalog import Catalog
from gateway.dialects import OPENAI_CHAT, OPENAI_EMBEDDINGS
from gateway.drain import Drain
from gateway.edge import edge
from gateway.keys import (
    CATALOG,
    CREDENTIALS,
    DRAIN,
    FILES,
    LEDGER,
    METRICS,
    NAMES,
    READINESS,
    REFUSALS,
    RELOADERS,
    SETTINGS,
    STATE,
    UPSTREAM,
    Check,
    Reloader,
)
from gateway.plugins import load
from gateway.recorder import RECORDER, Recorder
from gateway.records.metrics import Metrics
from gateway.routes import health, models, native, usage
from gateway.server.connection_server import defer_continue
from gateway.settings import Settings
from gateway.sharing import add_state
from gateway.tracing import add_tracing
from gateway.upstream.client import GeminiUpstream
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.files import FilesApi
from gateway.upstream.names import ModelNames
from gateway.upstream.retry import RETRIES_PER_S, RetryBudget


def build_app(settings: Settings) -> web.Application:
    """Build the whole gateway; nothing is opened before it starts.

    Raises `ConfigError` for a middleware that cannot be loaded, and for traces that cannot be made.
    """
    # The default chain is at the end of `settings.py`.
    chain = load(settings.middlewares)
    prefix = settings.server.prefix
    # The edge is the outermost layer of all requests, also of those outside the prefix.
    app = web.Application(middlewares=[edge, chain.for_unrouted(prefix)])
    app[SETTINGS] = settings
    app[DRAIN] = Drain()
    app[READINESS] = [_usable_credential(app)]
    app[RELOADERS] = []
    app[METRICS] = Metrics()
    traces = add_tracing(app, settings)
    add_state(app, settings)
    add_accounts(app, settings)
    app[RECORDER] = recorder = Recorder(app[METRICS], app[LEDGER], traces)
    app[METRICS].catch_up = app[LEDGER].catch_up = recorder.flush
    _add_upstream(app, settings)
    app.cleanup_ctx.extend(chain.lifespans)
    app.router.add_routes(health.routes())
    app.router.add_routes(
        web.route(one.method, prefix + one.path, chain.wrap(one.handler), **one.kwargs)
        for one in _routes()
    )
    return app


def _routes() -> list[web.RouteDef]:
    """Return the routes under the prefix.

    A route that the chain translates is named after its dialect, which is how `edge` finds it.
    """
    return [
        *(
            web.post(path, relay.generate, name=dialect.name, expect_handler=defer_continue)
            for path, dialect in (
                ("/v1/chat/completions", OPENAI_CHAT),
                ("/v1/embeddings", OPENAI_EMBEDDINGS),
            )
        ),
        web.get("/v1/models", models.list_models),
        web.get("/v1/models/{model:.+}", models.get_model),
        *native.routes(),
        *usage.routes(),
    ]


def _add_upstream(app: web.Application, settings: Settings) -> None:
    """Add Gemini's client, and what is known of its keys and models, to *app*."""
    app[NAMES] = names = ModelNames(settings.models, time.monotonic)
    pool = CredentialPool(_pool_members(settings), clock=time.monotonic)
    pool.share(app[STATE].table("credentials", pool.hear))
    upstream = GeminiUpstream(settings.upstream, pool, names, app[REFUSALS], time.monotonic)
    upstream.owners.share(app[STATE].table("owners", upstream.owners.hear))
    # The floor is divided among all processes; the share depends on the requests of each.
    floor_per_s = RETRIES_PER_S / settings.server.workers
    upstream.budget = RetryBudget(time.monotonic, floor_per_s=floor_per_s)
    app[UPSTREAM] = upstream
    app[FILES] = FilesApi(upstream, settings.media.upload_timeout_s)
    app[CATALOG] = catalog = Catalog(settings.models, upstream.models, time.monotonic)
    app[CREDENTIALS] = pool.states
    app[METRICS].watch_credentials(pool.states)
    app[RELOADERS].append(_reloader(catalog, upstream))
    app.cleanup_ctx.append(_running_upstream)


def _reloader(catalog: Catalog, upstream: GeminiUpstream) -> Reloader:
    """Return the function that applies changed credentials and models while requests run."""

    async def reload(settings: Settings) -> None:
        upstream.pool.replace(_pool_members(settings))
        upstream.names.configure(settings.models)
        catalog.settings = settings.models

    return reload


def _pool_members(settings: Settings) -> list[Credential]:
    """Return the credentials of *settings*, whose secrets are resolved, in the form of the pool."""
    return [
        Credential(name=one.name, key=one.key or "", weight=one.weight, project=one.project)
        for one in settings.upstream.credentials
    ]


async def _running_upstream(app: web.Application) -> AsyncIterator[None]:
    upstream = app[UPSTREAM]
    await upstream.start()
    yield
    await app[CATALOG].close()
    await upstream.close()


def _usable_credential(app: web.Application) -> Check:
    async def check() -> str | None:
        return None if app[UPSTREAM].usable() else "no usable upstream credential"

    return check
