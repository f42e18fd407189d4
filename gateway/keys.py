"""The typed keys that link the exchange and the services to aiohttp; nothing else does."""

from aiohttp import web

from gateway.exchange import Exchange, LicenseBook, Memories, Refusals, Upstream
from gateway.settings import Settings
from gateway.state.store import StateStore

EXCHANGE = web.RequestKey("exchange", Exchange)

SETTINGS = web.AppKey("settings", Settings)
LICENSES = web.AppKey("licenses", LicenseBook)
UPSTREAM = web.AppKey("upstream", Upstream)
MEMORIES = web.AppKey("memories", Memories)
REFUSALS = web.AppKey("refusals", Refusals)
STATE = web.AppKey("state", StateStore)
