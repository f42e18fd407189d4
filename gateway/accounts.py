"""Adds accounting to the app: licenses, prices, the usage ledger, and their database."""

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.database.engine import Database
from gateway.keys import (
    DATABASE,
    LEDGER,
    LICENSES,
    METRICS,
    PRICES,
    READINESS,
    RELOADERS,
    REPORT_TURNS,
    STATE,
    Reloader,
)
from gateway.ledger.ledger import Ledger
from gateway.ledger.pruning import Pruner
from gateway.ledger.seeding import QuotaSeeder
from gateway.ledger.spill import Spill
from gateway.licenses.book import Book, fixed
from gateway.licenses.store import LicenseStore
from gateway.licenses.watch import LicenseWatch
from gateway.records.prices import Prices
from gateway.settings import Settings
from gateway.state.embedded import is_embedded

if TYPE_CHECKING:
    # Needs the extra [redis].
    from gateway.ledger.stream import LedgerStream


def add_accounts(app: web.Application, settings: Settings) -> None:
    """Add license book, prices and ledger to *app*, which has `METRICS`, `READINESS`, `RELOADERS`.

    Raises `ConfigError` for an unusable database URL.
    """
    app[DATABASE] = database = Database(settings.database.url)
    app[REPORT_TURNS] = {}
    app[LICENSES] = book = Book()
    book.replace_fixed(fixed(settings.licenses))
    app[PRICES] = prices = Prices(settings.models.prices, settings.models.tiers)
    node = secrets.token_hex(6)
    spill = Spill(Path(settings.database.spill), node)
    app[LEDGER] = ledger = Ledger(database, spill, _stream(settings, node))
    app[METRICS].ledger_queue.set_function(lambda: len(ledger))
    store = LicenseStore(database, settings.database.pepper)
    watch = LicenseWatch(database, store, book, settings.limits.license_max_stale_s)
    app[READINESS].append(watch.check)
    pruner = Pruner(database, settings.ledger.keep_days)
    seeder = QuotaSeeder(database, book.licenses, app[STATE])
    seeder.prepare, seeder.knows_all = ledger.replay, watch.has_read

    app[RELOADERS].extend((_reloader(book, prices, watch), pruner.reload))
    app.cleanup_ctx.append(_lifespan(database, watch, seeder, ledger, pruner))


def _reloader(book: Book, prices: Prices, watch: LicenseWatch) -> Reloader:
    """Return the function that applies changed licenses, prices and limits."""

    async def reload(settings: Settings) -> None:
        book.replace_fixed(fixed(settings.licenses))
        prices.configure(settings.models.prices, settings.models.tiers)
        watch.max_stale_s = settings.limits.license_max_stale_s

    return reload


def _lifespan(
    database: Database, watch: LicenseWatch, seeder: QuotaSeeder, ledger: Ledger, pruner: Pruner
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return the generator that starts and closes these with the app."""

    async def running(app: web.Application) -> AsyncIterator[None]:
        await watch.start()
        # The store opens before the database does; from now on it may call the seeder itself.
        await seeder()
        await ledger.start()
        # A start waits neither for the stream nor for rows of this process: there are none yet.
        seeder.prepare = ledger.write_all
        pruner.start()
        app[STATE].seeders.append(seeder)
        yield
        app[STATE].seeders.remove(seeder)
        await seeder.close()
        await pruner.close()
        await ledger.close()
        await watch.close()
        await database.close()

    return running


def _stream(settings: Settings, node: str) -> "LedgerStream | None":
    """Return the stream that nodes share, if there is a state server.

    The embedded server ends with its parent process, so rows are not entrusted to it.
    """
    if settings.state.url.startswith("memory:") or is_embedded(settings.state.url):
        return None
    from gateway.ledger.stream import LedgerStream
    from gateway.state.client import Client

    client = Client(settings.state.url, timeout_s=1.0, scripts={})
    return LedgerStream(client, f"{settings.state.namespace}:ledger", node)
