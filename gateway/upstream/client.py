"""Gemini over HTTP: calls in, batches of events out.

`open` returns an `Opening`, which makes `Attempts` at one call until one has an `Answer`, or a
`FanOut` of several calls, each with an opening of its own. Requests that call no model, such as
uploads, go through `Retrying`.
"""

import asyncio
import time
from types import TracebackType

from gateway.exchange import Batches, Json, Notes, Outcome, UpstreamCall
from gateway.upstream.api_client import ApiClient
from gateway.upstream.attempts import Attempts, NeedsFanOut
from gateway.upstream.breaker import HOST
from gateway.upstream.credential import Credential
from gateway.upstream.errors import empty_answer, fault_of_exception
from gateway.upstream.fanout import MOST_AT_ONCE, FanOut
from gateway.upstream.faults import Failed
from gateway.upstream.retrying import Retrying
from gateway.upstream.transport import GeminiTransport

MAX_PAGES = 20
# Used in place of a model's name, in error messages too.
MODEL_LIST = "the model list"


class GeminiUpstream(GeminiTransport):
    """The client of Gemini. Start it before use, close it at the end."""

    def open(self, call: UpstreamCall, outcome: Outcome, notes: Notes) -> "Opening | FanOut":
        """Send *call*; the context is entered at its first event. See `protocols.Upstream`."""
        if call.copies > 1 or call.further:
            return self.fan_out(call, outcome, notes)
        return Opening(self, call, outcome, notes)

    def fan_out(self, call: UpstreamCall, outcome: Outcome, notes: Notes) -> FanOut:
        """Send the calls that *call* stands for.

        Behind an open circuit they take turns: the first is its probe, and the others would be
        refused while that is under way.
        """
        is_open = self.breakers.is_open(call.model) or self.breakers.is_open(HOST)
        most_at_once = 1 if is_open else MOST_AT_ONCE
        return FanOut(self, call, outcome, notes, most_at_once=most_at_once)

    async def models(self) -> list[Json]:
        """Return upstream's whole model list, all pages. Raises `GatewayError`."""
        deadline = self.loop.time() + self._list_limit_s
        return await Retrying(self, MODEL_LIST, deadline).run(self._list_models)

    async def _list_models(self, credential: Credential) -> list[Json]:
        """Read all pages with *credential*. Raises `Failed`."""
        models: list[Json] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._model_page(credential, token)
            # The first page always has models; the last one may have none left.
            listed = page.get("models", [] if models else None)
            if not isinstance(listed, list):
                raise Failed(empty_answer())
            models += filter(_is_model, listed)
            token = page.get("nextPageToken", "")
            if not token or not isinstance(token, str):
                break
        return models

    async def _model_page(self, credential: Credential, token: str) -> Json:
        """Request the page of the model list that *token* names. Raises `Failed`."""
        query = {"pageSize": "1000"} | ({"pageToken": token} if token else {})
        url = self.url("models").with_query(query)
        limit_s = self._list_limit_s
        connect_s = self.settings.connect_timeout_s
        api = ApiClient(self.session, self.pool.redact, connect_s=connect_s, silence_s=limit_s)
        try:
            async with asyncio.timeout(limit_s):
                response = await api.request("GET", url, {"x-goog-api-key": credential.key})
        except TimeoutError as error:
            raise Failed(fault_of_exception(error)) from None
        return response.body

    @property
    def _list_limit_s(self) -> float:
        """Return the seconds that one page may take, and after which there is no retry."""
        return self.settings.connect_timeout_s * 2


def _is_model(listed: object) -> bool:
    return isinstance(listed, dict) and isinstance(listed.get("name"), str)


class Opening:
    """One call under way: entering it returns the batches, leaving it releases everything."""

    __slots__ = ("_answer", "_call", "_credential", "_fan_out", "_notes", "_outcome", "_upstream")

    def __init__(
        self, upstream: GeminiUpstream, call: UpstreamCall, outcome: Outcome, notes: Notes
    ) -> None:
        self._upstream = upstream
        self._call = call
        self._outcome = outcome
        self._notes = notes
        self._fan_out: FanOut | None = None

    async def __aenter__(self) -> Batches:
        """Wait for the first event. Raises `GatewayError`."""
        attempts = Attempts(self._upstream, self._call, self._outcome, self._notes)
        try:
            self._answer, self._credential = await attempts.begin()
        except NeedsFanOut as change:
            self._fan_out = self._upstream.fan_out(change.call, self._outcome, self._notes)
            return await self._fan_out.__aenter__()
        # Read from the same clock as the start; uvloop's own counts whole milliseconds.
        self._outcome.first_event_at = time.monotonic()
        return self._answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cut the connection unless it was read to its end."""
        if self._fan_out is None:
            self._upstream.discard((self._answer, self._credential))
        else:
            await self._fan_out.__aexit__(kind, error, trace)
