"""`/healthz` and `/readyz`: outside the chain, without a license, for load balancers.

Code that holds something that can fail adds a check to `app[READINESS]`.
"""

import asyncio

from aiohttp import web

from gateway.keys import CREDENTIALS, DRAIN, READINESS, Check

CHECK_TIMEOUT_S = 2.0
HEADERS = {"Cache-Control": "no-store"}


def routes() -> list[web.RouteDef]:
    """Return both routes, for the root of an app with `CREDENTIALS`, `DRAIN` and `READINESS`."""
    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]


async def healthz(_: web.Request) -> web.Response:
    """Answer that the process is alive."""
    return web.json_response({"status": "ok"}, headers=HEADERS)


async def readyz(request: web.Request) -> web.Response:
    """Answer whether requests can be served (else 503 and why), with the credentials' states."""
    checks = request.app[READINESS]
    reasons = [reason for reason in await asyncio.gather(*map(_run_check, checks)) if reason]
    if request.app[DRAIN].begun:
        reasons.insert(0, "draining")
    body: dict[str, object] = {"status": "unavailable" if reasons else "ok"}
    if reasons:
        body["reasons"] = reasons
    body["credentials"] = request.app[CREDENTIALS]()
    return web.json_response(body, status=503 if reasons else 200, headers=HEADERS)


async def _run_check(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return "a check did not answer in time"
