"""Gemini over HTTP: one connection pool, calls in, batches of events out.

Headers and address are built from nothing: no field of a client's request chooses host, path, key,
header or proxy. Redirects are never followed, the key would go along.

`open` gives an `Opening`, which makes `Attempts` at one call until one has an `Answer`, or a
`FanOut` of several calls, each with an opening of its own. What asks no model, as an upload does,
is an `Errand`.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType

import aiohttp
import orjson
from aiohttp import ClientTimeout, hdrs
from yarl import URL

from gateway import __version__
from gateway.errors import GatewayError, UpstreamOverloaded
from gateway.exchange import Batches, Json, Notes, Outcome, UpstreamCall
from gateway.protocols import Refusals
from gateway.settings import Upstream as UpstreamSettings
from gateway.sockets import small_socket
from gateway.upstream.answer import Answer, Failed
from gateway.upstream.asking import Asking, Refused
from gateway.upstream.attempts import Apart, Attempts
from gateway.upstream.breaker import HOST, Breakers
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.errors import empty_answer, fault_of_exception
from gateway.upstream.fanout import FanOut
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.names import ModelNames
from gateway.upstream.owners import Owners
from gateway.upstream.request import Protocol, Target
from gateway.upstream.retry import POLICIES, RetryBudget

MAX_PAGES = 20
# Stands where calls have a model; errors read well with it.
MODEL_LIST = "the model list"
_COUNTED = frozenset({Kind.OVERLOADED, Kind.INTERNAL, Kind.STUCK, Kind.NETWORK, Kind.GARBAGE})


class GeminiUpstream:
    """The upstream that ships. Open it before use, close it at the end."""

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        settings: UpstreamSettings,
        pool: CredentialPool,
        names: ModelNames,
        refusals: Refusals,
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.pool = pool
        self.names = names
        self.refusals = refusals
        self.budget = RetryBudget(clock)
        self.breakers = Breakers(clock)
        self.owners = Owners(clock)
        self._targets: dict[tuple[str, str], Target] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the connection pool; connections come and go with the calls."""
        # Asking for it costs a system call each time in Python 3.11.
        self.loop = asyncio.get_running_loop()
        # Without limit: the gateway's own caps hold, aiohttp's 100 would queue streams.
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, socket_factory=small_socket)
        # There is no public way to say which protocol connections speak.
        factory = partial(Protocol, loop=self.loop)
        connector._factory = factory  # type: ignore[assignment] # noqa: SLF001
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={
                hdrs.USER_AGENT: f"gateway/{__version__}",
                hdrs.ACCEPT_ENCODING: "identity",
                hdrs.CONTENT_TYPE: "application/json",
            },
        )

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    def configure(self, settings: UpstreamSettings) -> None:
        """Take new limits and a new base URL; calls under way keep theirs."""
        self.settings = settings
        self._targets.clear()

    def open(self, call: UpstreamCall, outcome: Outcome, notes: Notes) -> "Opening | FanOut":
        """Send *call*; entered once the first event is here. See `exchange.Upstream`."""
        if call.copies > 1 or call.further:
            return FanOut(self, call, outcome, notes)
        return Opening(self, call, outcome, notes)

    async def post(self, call: UpstreamCall, credential: Credential) -> Answer:
        """Send one attempt and give its answer once the head is here."""
        body = orjson.dumps(call.body)
        return Answer(
            await self._target(call).post(credential.key, body),
            stream=call.stream,
            idle_s=self.settings.idle_timeout_s,
            redact=self.pool.redact,
        )

    @property
    def session(self) -> aiohttp.ClientSession:
        """Give the connection pool."""
        assert self._session is not None, "start() comes first"
        return self._session

    def usable(self) -> int:
        """Count the credentials that are not out."""
        return self.pool.usable()

    async def models(self) -> list[Json]:
        """Give upstream's whole model list, all pages. Raises `GatewayError`."""
        models: list[Json] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._get("/v1beta/models", {"pageSize": "1000", "pageToken": token})
            # The first page always has some; the last one may have none left.
            listed = page.get("models", [] if models else None)
            if not isinstance(listed, list):
                raise empty_answer().error
            models += filter(_is_model, listed)
            token = page.get("nextPageToken", "")
            if not token or not isinstance(token, str):
                break
        return models

    async def _get(self, path: str, query: dict[str, str]) -> Json:
        """Ask *path* with a credential, and with others where that is at fault.

        Raises `GatewayError`.
        """
        url = URL(self.settings.base_url.rstrip("/") + path)
        url = url.with_query({name: value for name, value in query.items() if value})
        refused: list[str] = []
        last: GatewayError | None = None
        while True:
            try:
                credential = self.pool.lease(MODEL_LIST, avoid=refused)
            except GatewayError as error:
                raise (last or error) from None
            try:
                return await self._get_with(credential, url)
            except Failed as failed:
                policy, last = POLICIES[failed.fault.kind], failed.fault.error
            refused.append(credential.name)
            most = min(policy.more + 1, self.settings.max_attempts)
            if not policy.elsewhere or len(refused) >= most:
                raise last

    async def _get_with(self, credential: Credential, url: URL) -> Json:
        """Ask *url* with the leased *credential*, which is released. Raises `Failed`."""
        began = self.breakers.counted
        connect_s = self.settings.connect_timeout_s
        asking = Asking(
            self.session, self.pool.redact, connect_s=connect_s, silence_s=connect_s * 2
        )
        try:
            async with asyncio.timeout(connect_s * 2):
                told = await asking.ask("GET", url, {"x-goog-api-key": credential.key})
        except TimeoutError as error:
            raise Failed(fault_of_exception(error)) from None
        except Refused as refused:
            self.learn(credential, MODEL_LIST, refused.fault, began)
            raise
        finally:
            self.pool.release(credential)
        self.learn(credential, MODEL_LIST, None, began)
        return told.body

    def discard(self, begun: tuple[Answer, Credential]) -> None:
        """Cut an answer that nobody waits for any more."""
        answer, credential = begun
        answer.close()
        self.pool.release(credential)

    def check_breakers(self, model: str) -> None:
        """Raise `Failed` where *model*, or the host, has failed too often to be asked now."""
        for name, who in ((model, model), (HOST, "The upstream")):
            wait = self.breakers.wait(name)
            if wait:
                if name == HOST:
                    # The probe of the model, if this was to be one, is not made.
                    self.breakers.undecided(model)
                error = UpstreamOverloaded(f"{who} has failed repeatedly.", retry_after=wait)
                raise Failed(Fault(Kind.OVERLOADED, error), final=True)

    def learn(self, credential: Credential, model: str, fault: Fault | None, began: int) -> None:
        """Tell pool and breaker how an attempt ended; *began* is as in `Breakers.failure`."""
        self.pool.report(credential, model, fault)
        if fault is None and self.breakers.all_closed:
            return
        guilty = None if fault is None else HOST if fault.kind is Kind.NETWORK else model
        for name in (model, HOST):
            if fault is None:
                self.breakers.success(name)
            elif name == guilty and fault.kind in _COUNTED:
                self.breakers.failure(name, began)
            else:
                self.breakers.undecided(name)

    def _target(self, call: UpstreamCall) -> Target:
        """Give the address of *call*; made once per model, an address costs many microseconds."""
        action = "streamGenerateContent" if call.stream else call.action
        target = self._targets.get((call.model, action))
        if target is None:
            assert self._session is not None, "start() comes first"
            if len(self._targets) > 1000:
                self._targets.clear()
            path = f"{self.settings.base_url.rstrip('/')}/v1beta/models/{call.model}:{action}"
            url = URL(f"{path}?alt=sse" if call.stream else path)
            target = self._targets[call.model, action] = Target(self._session, url, self._timeout())
        return target

    def _timeout(self) -> ClientTimeout:
        """Give what bounds connecting; the rest has a deadline of its own.

        The name's look-up and the tries of all its addresses count together.
        """
        return ClientTimeout(total=None, connect=self.settings.connect_timeout_s)


def _is_model(listed: object) -> bool:
    return isinstance(listed, dict) and isinstance(listed.get("name"), str)


class Opening:
    """One call under way: entered, it gives the batches; left, everything is given back."""

    __slots__ = ("_answer", "_call", "_copies", "_credential", "_notes", "_outcome", "_upstream")

    def __init__(
        self, upstream: GeminiUpstream, call: UpstreamCall, outcome: Outcome, notes: Notes
    ) -> None:
        self._upstream = upstream
        self._call = call
        self._outcome = outcome
        self._notes = notes
        self._copies: FanOut | None = None

    async def __aenter__(self) -> Batches:
        """Wait for the first event. Raises `GatewayError`."""
        attempts = Attempts(self._upstream, self._call, self._outcome, self._notes)
        try:
            self._answer, self._credential = await attempts.begin()
        except Apart as apart:
            self._copies = FanOut(self._upstream, apart.call, self._outcome, self._notes)
            return await self._copies.__aenter__()
        # By the clock that the start was read from; the loop of uvloop counts whole milliseconds.
        self._outcome.first_event_at = time.monotonic()
        return self._answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cut the connection unless it was read to its end."""
        if self._copies is None:
            self._upstream.discard((self._answer, self._credential))
        else:
            await self._copies.__aexit__(kind, error, trace)
