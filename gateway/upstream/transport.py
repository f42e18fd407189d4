"""What all requests to Gemini share: connections, credentials, breakers, the retry budget.

Headers and address are built from scratch: no field of a client's request chooses host, path, key,
header or proxy. Redirects are never followed, as the key would go along.
"""

import asyncio
from collections.abc import Callable

import aiohttp
import orjson
from aiohttp import ClientTimeout, hdrs
from yarl import URL

from gateway import __version__
from gateway.errors import UpstreamOverloaded
from gateway.exchange import UpstreamCall
from gateway.network.sockets import upstream_socket
from gateway.protocols import Refusals
from gateway.settings import Upstream as UpstreamSettings
from gateway.upstream.answer import Answer
from gateway.upstream.api_client import reuse_tracing
from gateway.upstream.breaker import HOST, Breakers
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.names import ModelNames
from gateway.upstream.outage import Outage
from gateway.upstream.owners import Owners
from gateway.upstream.pool import Pool
from gateway.upstream.request import Target
from gateway.upstream.retry import RetryBudget

_COUNTED = frozenset({Kind.OVERLOADED, Kind.INTERNAL, Kind.STUCK, Kind.NETWORK, Kind.GARBAGE})


class GeminiTransport:
    """Sends single attempts and learns from their results. Start it before use, close it after."""

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
        self._proxy = URL(settings.proxy) if settings.proxy else None
        self._outage = Outage()
        self._targets: dict[tuple[str, str], Target] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the connection pool; connections are opened as calls need them."""
        # Asking for it each time costs a system call in Python 3.11.
        self.loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(
            connector=Pool(socket_factory=upstream_socket),
            timeout=self._timeout(),
            proxy=self._proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[reuse_tracing()],
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

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return aiohttp's session, whose connector is the pool."""
        assert self._session is not None, "start() comes first"
        return self._session

    async def post(self, call: UpstreamCall, credential: Credential) -> Answer:
        """Send one attempt and return its answer once the head has arrived."""
        body = orjson.dumps(call.body)
        return Answer(
            await self._target(call).post(credential.key, body),
            stream=call.stream,
            idle_s=self.settings.idle_timeout_s,
            redact=self.pool.redact,
        )

    def discard(self, begun: tuple[Answer, Credential]) -> None:
        """Cut an answer that nobody waits for any more, and release its credential."""
        answer, credential = begun
        answer.close()
        self.pool.release(credential)

    def url(self, path: str) -> URL:
        """Return the address of *path* in Gemini's API."""
        return URL(f"{self.settings.base_url.rstrip('/')}/v1beta/{path}")

    def usable(self) -> int:
        """Count the credentials that are not out."""
        return self.pool.usable()

    def check_breakers(self, model: str) -> None:
        """Raise `Failed` if *model*, or the host, has failed too often to be asked now."""
        for name, subject in ((model, model), (HOST, "The upstream")):
            wait = self.breakers.wait(name)
            if wait:
                if name == HOST:
                    # If this was to be the probe of the model, it is not made.
                    self.breakers.undecided(model)
                error = UpstreamOverloaded(f"{subject} has failed repeatedly.", retry_after=wait)
                raise Failed(Fault(Kind.OVERLOADED, error), final=True)

    def learn(
        self, credential: Credential, model: str, fault: Fault | None, failures_before: int
    ) -> None:
        """Report the result of an attempt to pool, breakers and log.

        *failures_before* is as in `Breakers.failure`.
        """
        self.pool.report(credential, model, fault)
        if fault is None and self.breakers.all_closed:
            return
        self._outage.note(fault)
        blamed = None if fault is None else HOST if fault.kind is Kind.NETWORK else model
        for name in (model, HOST):
            if fault is None:
                self.breakers.success(name)
            elif name == blamed and fault.kind in _COUNTED:
                self.breakers.failure(name, failures_before)
            else:
                self.breakers.undecided(name)

    def learn_nothing(self, model: str) -> None:
        """Report to the breakers an attempt on *model* that ended without a verdict."""
        for name in (model, HOST):
            self.breakers.undecided(name)

    def _target(self, call: UpstreamCall) -> Target:
        """Return the address of *call*, made once per model: making one costs many microseconds."""
        action = "streamGenerateContent" if call.stream else call.action
        target = self._targets.get((call.model, action))
        if target is None:
            if len(self._targets) > 1000:
                self._targets.clear()
            query = "?alt=sse" if call.stream else ""
            url = self.url(f"models/{call.model}:{action}{query}")
            target = Target(self.session, url, self._timeout(), self._proxy)
            self._targets[call.model, action] = target
        return target

    def _timeout(self) -> ClientTimeout:
        """Return the time limit of connecting; the rest has a deadline of its own.

        Name look-up and attempts at all addresses count together.
        """
        return ClientTimeout(total=None, connect=self.settings.connect_timeout_s)
