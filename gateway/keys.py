"""The typed keys under which aiohttp's app and requests hold the services and the exchange."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.catalog import Catalog
from gateway.database.engine import Database
from gateway.drain import Drain
from gateway.exchange import Exchange
from gateway.ledger.ledger import Ledger
from gateway.protocols import FilesUpstream, LicenseBook, Memories, Names, Refusals, Upstream
from gateway.records.metrics import Metrics
from gateway.records.prices import Prices
from gateway.settings import Settings
from gateway.state.store import StateStore

# Returns the reason why the gateway cannot serve now, or None; it names no address and no key.
Check = Callable[[], Awaitable[str | None]]
# Applies those of newly read settings that may change at run time.
Reloader = Callable[[Settings], Awaitable[None]]
# Describes each upstream credential: its name and state, never its key.
States = Callable[[], list[dict[str, object]]]

EXCHANGE = web.RequestKey("exchange", Exchange)

SETTINGS = web.AppKey("settings", Settings)
LICENSES = web.AppKey("licenses", LicenseBook)
UPSTREAM = web.AppKey("upstream", Upstream)
FILES = web.AppKey("files", FilesUpstream)
NAMES = web.AppKey("names", Names)
CATALOG = web.AppKey("catalog", Catalog)
MEMORIES = web.AppKey("memories", Memories)
REFUSALS = web.AppKey("refusals", Refusals)
STATE = web.AppKey("state", StateStore)
DRAIN = web.AppKey("drain", Drain)
CREDENTIALS: web.AppKey[States] = web.AppKey("credentials")
READINESS = web.AppKey("readiness", list[Check])
RELOADERS = web.AppKey("reloaders", list[Reloader])
METRICS = web.AppKey("metrics", Metrics)
PRICES = web.AppKey("prices", Prices)
DATABASE = web.AppKey("database", Database)
# By license: its reports of usage take turns.
REPORT_TURNS = web.AppKey("report_turns", dict[str, asyncio.Lock])
LEDGER = web.AppKey("ledger", Ledger)
