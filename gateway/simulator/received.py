"""What the simulator received: one record per request, and its place in aiohttp's request."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True, eq=False)
class Received:
    """One request: *body* is the parsed JSON (None if there was none), *key* the credential's.

    *cancelled* means that the peer left before the answer was complete; *done* is set at the end.
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


RECEIVED: web.RequestKey[Received] = web.RequestKey("received", Received)
