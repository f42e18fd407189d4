"""LicenseAuth: checks the license of a request, before a byte of its body is read."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from math import ceil
from time import monotonic

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import istr

from gateway.errors import BadRequest, Forbidden, RateLimited, Unauthorized
from gateway.exchange import License
from gateway.keys import EXCHANGE, LICENSES, SETTINGS
from gateway.licenses.digest import normalised
from gateway.licenses.scope import require_model
from gateway.protocols import LicenseBook
from gateway.server.client_address import Networks, client_address, client_network, networks, within

# `istr` saves folding the names to lower case for every request.
_HEADERS = (istr("x-api-key"), istr("api-key"), istr("x-goog-api-key"))


class WrongTries:
    """Wrong keys by address: after *most* in a minute the address must wait for it to end.

    A right key neither clears nor needs the count: valid licenses get through from anywhere.
    """

    __slots__ = ("_by_address", "_most")

    WINDOW_S = 60.0
    MOST_ADDRESSES = 10_000

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._by_address: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, address: str, now: float) -> float:
        """Count a wrong try at *now* (monotonic); return the seconds to wait, 0 while few."""
        since, tries = self._by_address.pop(address, (now, 0))
        if now - since >= self.WINDOW_S:
            since, tries = now, 0
        self._by_address[address] = (since, tries + 1)
        if len(self._by_address) > self.MOST_ADDRESSES:
            self._by_address.popitem(last=False)
        return since + self.WINDOW_S - now if tries >= self._most else 0.0


class LicenseAuth:
    """Finds the license of a request, or refuses the request."""

    provides = ("license",)

    def __init__(self) -> None:
        self._wrong = WrongTries()
        self._trusted: Networks = ()
        self._licenses: LicenseBook | None = None

    async def lifespan(self, app: web.Application) -> AsyncIterator[None]:
        """Read which proxies are trusted to name the client."""
        self._trusted = networks(app[SETTINGS].server.trusted_proxies)
        self._licenses = app[LICENSES]
        yield

    def __call__(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Put the license on the exchange. Raises `Unauthorized`, `Forbidden`, `RateLimited`."""
        keys = presented(request)
        if len(keys) > 1:
            raise BadRequest(
                "The request contains two different license keys; send one.", param="authorization"
            )
        assert self._licenses is not None
        license_ = self._licenses.find(*keys) if keys else None
        if license_ is None:
            raise self._refusal(request, has_key=bool(keys))
        self._check(license_, request)
        request[EXCHANGE].license = license_
        return handler(request)

    def _refusal(self, request: web.Request, *, has_key: bool) -> Unauthorized | RateLimited:
        wait = self._wrong.count(client_network(self._address(request)), monotonic())
        if wait:
            message = f"Too many wrong license keys from this address; wait {ceil(wait)} s."
            return RateLimited(message, retry_after=wait)
        if has_key:
            return Unauthorized("The license key is not valid.")
        return Unauthorized("The license key is missing; send it in the header Authorization.")

    def _check(self, license_: License, request: web.Request) -> None:
        if license_.disabled:
            raise Forbidden("The license is disabled.", code="license_disabled")
        if license_.expires is not None and license_.expires <= datetime.now(UTC):
            raise Unauthorized("The license has expired.", code="license_expired")
        if license_.networks and not within(self._address(request), networks(license_.networks)):
            raise Forbidden(
                "The license may not be used from this address.", code="address_not_allowed"
            )

    def _address(self, request: web.Request) -> str:
        headers = request.headers
        return client_address(
            request.remote or "",
            # Some proxies add a field of their own after the client's: together they form one list.
            ",".join(headers.getall("X-Forwarded-For", ())),
            headers.get("X-Real-IP"),
            self._trusted,
        )


class LicenseScope:
    """Refuses models that the license does not cover."""

    requires = ("license", "payload")

    def __call__(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Check the requested model against the license's globs. Raises `Forbidden`."""
        exchange = request[EXCHANGE]
        if exchange.license.models:
            require_model(exchange.license, exchange.payload["model"])
        return handler(request)


def presented(request: web.Request) -> set[str]:
    """Return the distinct keys that *request* presents. Raises `BadRequest` for a repeated header.

    aiohttp's `get` returns the first of several values, which would let a good key hide a bad one.
    """
    headers = request.headers
    authorization = headers.getall(hdrs.AUTHORIZATION, ())
    if len(authorization) > 1:
        raise BadRequest("More than one Authorization header.", param="authorization")
    keys = {normalised(text) for text in authorization}
    for name in _HEADERS:
        if name in headers:
            keys |= {normalised(text) for text in headers.getall(name)}
    if request.query_string and "key" in request.query and _takes_query_key(request):
        keys |= {normalised(text) for text in request.query.getall("key")}
    # An empty header presents none.
    keys.discard("")
    return keys


def _takes_query_key(request: web.Request) -> bool:
    """Tell whether Gemini's own clients use this address, which send the key in the query."""
    path = request.path
    return "/v1beta/" in path or "/v1/models" in path
