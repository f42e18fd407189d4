"""What a license holder may see: its usage, in our form and as chat clients ask for it.

The two addresses under `dashboard/billing` are those of OpenAI's former console; clients show them
as the balance of a key.
"""

import asyncio
import time
from collections.abc import Collection
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from gateway.database.engine import DatabaseDown
from gateway.errors import BadRequest, Unavailable
from gateway.exchange import License
from gateway.keys import DATABASE, EXCHANGE, REPORT_TURNS
from gateway.ledger import times
from gateway.ledger.report import GROUPS, Selection, Sum, sums
from gateway.server.answers import json_response

DEFAULT_SINCE: Final = "30d"
# Reported for a license without a limit, as other gateways do.
WITHOUT_LIMIT_USD: Final = 100_000_000.0


def routes() -> list[web.RouteDef]:
    """Return the routes under the prefix; some clients omit the version."""
    billing = {"usage": billing_usage, "subscription": subscription}
    return [
        web.get("/v1/usage", usage),
        *(
            web.get(f"{version}/dashboard/billing/{name}", handler)
            for version in ("/v1", "")
            for name, handler in billing.items()
        ),
    ]


async def usage(request: web.Request) -> web.StreamResponse:
    """Answer with the sums by model and day, `?since=7d` or `?since=2026-11-01`."""
    exchange = request[EXCHANGE]
    license_ = exchange.license
    text = request.query.get("since", DEFAULT_SINCE)
    try:
        since = times.since(text, ZoneInfo(license_.timezone), time.time())
    except ValueError as error:
        raise BadRequest(f"since: {error}.", param="since") from None
    totals = await _sums(request, Selection(since, license=license_.id), ("model", "day"))
    data = [_row(total) for total in totals]
    body = {"object": "list", "license": license_.id, "since": int(since), "data": data}
    return json_response(body, exchange)


async def billing_usage(request: web.Request) -> web.StreamResponse:
    """Answer with the cents used from `start_date` up to `end_date`; this month without them."""
    exchange = request[EXCHANGE]
    zone = ZoneInfo(exchange.license.timezone)
    first = datetime.now(zone).replace(day=1).date().isoformat()
    start = _midnight(request, "start_date", zone)
    if start is None:
        start = times.midnight(first, zone)
    end = _midnight(request, "end_date", zone)
    totals = await _sums(request, Selection(start, end, exchange.license.id), ())
    cents = round(sum(total.usd for total in totals) * 100, 7)
    return json_response({"object": "list", "total_usage": cents}, exchange)


async def subscription(request: web.Request) -> web.StreamResponse:
    """Answer with the license's limit in USD and its end."""
    exchange = request[EXCHANGE]
    license_ = exchange.license
    limit = _limit_usd(license_)
    body = {
        "object": "billing_subscription",
        "has_payment_method": True,
        "soft_limit_usd": limit,
        "hard_limit_usd": limit,
        "system_hard_limit_usd": limit,
        "access_until": int(license_.expires.timestamp()) if license_.expires else 0,
    }
    return json_response(body, exchange)


async def _sums(request: web.Request, selection: Selection, by: Collection[str]) -> list[Sum]:
    license_ = request[EXCHANGE].license
    zone = ZoneInfo(license_.timezone)
    # Each may take seconds. Many at once would keep everybody else from the database, the look-out
    # for revoked licenses included.
    turn = request.app[REPORT_TURNS].setdefault(license_.id, asyncio.Lock())
    try:
        async with turn:
            return await sums(request.app[DATABASE], selection, by, zone)
    except DatabaseDown:
        raise Unavailable("Usage cannot be read now; try again later.", retry_after=5.0) from None


def _row(total: Sum) -> dict[str, object]:
    return {name: value for name, value in total._asdict().items() if name not in GROUPS or value}


def _midnight(request: web.Request, name: str, zone: ZoneInfo) -> float | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return times.midnight(text[:10], zone)
    except ValueError:
        raise BadRequest(f"{name}: must be a day such as 2026-11-30.", param=name) from None


def _limit_usd(license_: License) -> float:
    limits = license_.limits
    return limits.usd_per_month or limits.usd_per_day or WITHOUT_LIMIT_USD
