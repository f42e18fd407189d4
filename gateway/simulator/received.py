"""The requests that came, and the keys of what aiohttp's request carries."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from gateway.simulator.server import Simulator


@dataclass(slots=True, eq=False)
class Received:
    """One request: *body* is the parsed JSON (None if there was none), *key* the credential's.

    *cancelled* tells that the peer left before the answer was whole; *done* is set at the end.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    key: str
    model: str = ""
    action: str = ""
    body: Any = None
    status: int = 0
    cancelled: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)


SIMULATOR: web.AppKey["Simulator"] = web.AppKey("simulator")
RECEIVED: web.RequestKey[Received] = web.RequestKey("received", Received)
