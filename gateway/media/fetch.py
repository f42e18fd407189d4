"""Bounded download of media that clients name by URL.

Every hop has a connector of its own, guarded by `resolver.Guard`: no connection, cookie or name
look-up is shared with another host, and the address that was checked is the address connected to.
Redirects are followed here, and every target is checked again. Limits apply while reading, nothing
is decompressed, and cancelling the fetch closes the connection at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
from yarl import URL

from gateway.errors import InvalidMedia, RateLimited
from gateway.media.addresses import Policy
from gateway.media.data_url import check_size
from gateway.media.resolver import Guard, Lookup
from gateway.media.spool import Spool
from gateway.media.web_url import UNREACHABLE, Target, parse
from gateway.network.outgoing import OutgoingConnection
from gateway.settings import Media

# The number of full-length fetches a fetch waits for: 20 items, four at a time, need five rounds.
_ROUNDS = 6
_RETRY_AFTER_S = 5.0
# Heads on one connection: the answer's own, and interim ones (102, 103) before it.
_MAX_HEADS = 16
# Chunks of a body so small that handling them keeps the loop busy, and their maximum number.
_CRUMB_BYTES = 16
_MAX_CRUMBS = 1_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "Accept": "image/*, audio/*, video/*, application/pdf, */*;q=0.5",
    "Accept-Encoding": "identity",
    "User-Agent": "gateway-media/1",
}


class Budget:
    """The bytes that all media of one request may have together."""

    __slots__ = ("_bytes_left", "_limit")

    def __init__(self, limit: int) -> None:
        self._bytes_left = self._limit = limit

    def take(self, size: int) -> None:
        """Count *size* bytes; raise `InvalidMedia` (code `media_too_large`) above the limit."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise InvalidMedia(
                f"The media of this request are larger than the limit of {self._limit} bytes.",
                code="media_too_large",
            )


class Slots:
    """Concurrent fetches: a limit for all licenses, and a lower one for each."""

    __slots__ = ("_all", "_of_license", "_per_license", "_waiting")

    def __init__(self, for_all: int, per_license: int) -> None:
        self._all = asyncio.Semaphore(for_all)
        self._per_license = per_license
        self._of_license: dict[str, asyncio.Semaphore] = {}
        self._waiting: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def take(
        self, license_id: str, timeout_s: float
    ) -> AsyncIterator[list["asyncio.Future[Any]"]]:
        """Hold one slot; raise `RateLimited` when none becomes free in time.

        It stays taken until all futures that are put into the yielded list are done.
        """
        own = self._of_license.setdefault(license_id, asyncio.Semaphore(self._per_license))
        self._waiting[license_id] += 1
        unfinished: list[asyncio.Future[Any]] = []
        to_release = ExitStack()
        to_release.callback(self._stop_waiting, license_id)
        try:
            # The license's slot first: a fetch that waits for it must not keep others out.
            for semaphore in (own, self._all):
                await _acquire(semaphore, timeout_s)
                to_release.callback(semaphore.release)
            yield unfinished
        finally:
            if all(future.done() for future in unfinished):
                to_release.close()
            else:
                all_done = asyncio.gather(*unfinished, return_exceptions=True)
                all_done.add_done_callback(lambda _: to_release.close())

    def _stop_waiting(self, license_id: str) -> None:
        self._waiting[license_id] -= 1
        if not self._waiting[license_id]:
            del self._waiting[license_id], self._of_license[license_id]


async def _acquire(semaphore: asyncio.Semaphore, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await semaphore.acquire()
    except TimeoutError:
        raise RateLimited(
            "Too many media URLs are being fetched at once; try again later.",
            retry_after=_RETRY_AFTER_S,
        ) from None


class _Protocol(OutgoingConnection):
    """One connection, which is cut when its server sends head after head.

    aiohttp skips interim heads without limit; at 20 bytes each they keep the loop busy.
    """

    _heads = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take one more head and its body."""
        self._heads += 1
        if self._heads <= _MAX_HEADS:
            super().feed_data(data, size)
        elif self.transport is not None:
            self.transport.abort()


class Fetcher:
    """Downloads media for all licenses; *lookup* finds the addresses of a host."""

    def __init__(self, settings: Media, lookup: Lookup) -> None:
        self._settings = settings
        self._lookup = lookup
        self._policy = Policy.of(settings.allow_hosts, settings.allow_ports)
        self._slots = Slots(settings.max_fetches, settings.max_fetches_per_license)

    def check(self, url: str) -> None:
        """Raise `InvalidMedia` for what `fetch` would refuse without contacting any server."""
        parse(url, self._policy)

    async def fetch(self, url: str, license_id: str, budget: Budget, spool: Spool) -> str:
        """Download *url* into *spool* and return the content type that its server names.

        Raises `InvalidMedia`, and `RateLimited` when no slot becomes free.
        """
        target = parse(url, self._policy)
        timeout_s = self._settings.timeout_s
        async with self._slots.take(license_id, timeout_s * _ROUNDS) as unfinished:

            async def look_up(host: str, port: int) -> list[str]:
                # The thread of a look-up cannot be stopped: the slot is held while it runs, or one
                # license could occupy all threads.
                task = asyncio.ensure_future(self._lookup(host, port))
                unfinished.append(task)
                return await asyncio.shield(task)

            try:
                async with asyncio.timeout(timeout_s):
                    return await self._follow(target, budget, spool, look_up)
            except TimeoutError:
                raise InvalidMedia("The server of this URL was too slow.") from None
            except aiohttp.ClientPayloadError:
                raise InvalidMedia("The server of this URL broke off its answer.") from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # aiohttp's frames in the traceback hold the error: a reference cycle.
                error.with_traceback(None)
                # The cause may name an internal address or host, so it is not reported.
                raise InvalidMedia(UNREACHABLE) from None

    async def _follow(self, target: Target, budget: Budget, spool: Spool, look_up: Lookup) -> str:
        for _ in range(self._settings.max_redirects + 1):
            async with self._open(target, look_up) as response:
                if response.status not in _REDIRECTS:
                    self._check_head(response)
                    await self._read_body(response, budget, spool)
                    return response.headers.get("Content-Type", "")
                target = self._next(target, response)
        raise InvalidMedia(f"This URL redirects more than {self._settings.max_redirects} times.")

    @asynccontextmanager
    async def _open(self, target: Target, look_up: Lookup) -> AsyncIterator[aiohttp.ClientResponse]:
        guard = Guard(target, self._policy, look_up)
        connector = aiohttp.TCPConnector(
            resolver=guard, socket_factory=guard.socket, use_dns_cache=False, force_close=True
        )
        # aiohttp has no public way to set the protocol of its connections.
        factory = partial(_Protocol, loop=asyncio.get_running_loop())
        connector._factory = factory  # type: ignore[assignment] # noqa: SLF001
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self._settings.connect_timeout_s,
            sock_read=self._settings.idle_timeout_s,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                timeout=timeout,
                trust_env=False,
                auto_decompress=False,
            ) as session,
            session.get(target.url, allow_redirects=False) as response,
        ):
            yield response

    def _next(self, target: Target, response: aiohttp.ClientResponse) -> Target:
        location = response.headers.get("Location", "")
        if not location:
            raise InvalidMedia(UNREACHABLE)
        # Joined unchanged: all of it is read as strictly as the client's URL.
        return parse(str(target.url.join(URL(location, encoded=True))), self._policy)

    def _check_head(self, response: aiohttp.ClientResponse) -> None:
        if response.status != 200:
            raise InvalidMedia(f"The server of this URL answered with status {response.status}.")
        # Object stores send an empty one.
        if response.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
            raise InvalidMedia(
                "The server of this URL compresses its answer, which is not supported."
            )
        check_size(response.content_length or 0, self._settings.max_item_bytes)

    async def _read_body(
        self, response: aiohttp.ClientResponse, budget: Budget, spool: Spool
    ) -> None:
        crumbs = 0
        async for data, _ in response.content.iter_chunks():
            crumbs += 0 < len(data) < _CRUMB_BYTES
            if crumbs > _MAX_CRUMBS:
                raise InvalidMedia("The server of this URL sends its answer in too small pieces.")
            check_size(spool.size + len(data), self._settings.max_item_bytes)
            budget.take(len(data))
            await spool.write(data)
