"""One plain request to upstream: returns JSON, or raises `Failed` with its fault."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace

import aiohttp
import orjson
from yarl import URL

from gateway.exchange import Json
from gateway.upstream.errors import empty_answer, fault_of_exception, fault_of_status
from gateway.upstream.faults import Failed, Fault
from gateway.upstream.google_error import Redact, error_object
from gateway.upstream.request import BROKEN

MAX_ANSWER_BYTES = 4 * 1024 * 1024


class Refused(Failed):
    """An answer with another status than 200; *is_page* means that it is not Google's JSON."""

    def __init__(self, fault: Fault, status: int, *, is_page: bool) -> None:
        super().__init__(fault)
        self.status = status
        self.is_page = is_page


class DeadConnection(Failed):
    """A pooled connection broke before an answer; it had probably died while it was idle."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """An answer with status 200: its headers and its JSON object, {} for an empty body."""

    headers: Mapping[str, str]
    body: Json


class ApiClient:
    """Sends requests over *session*, whose connections must be established within *connect_s*.

    An answer may be silent for *silence_s*. *redact* removes secrets from error messages.
    """

    __slots__ = ("_session", "_timeout", "redact")

    def __init__(
        self,
        session: aiohttp.ClientSession,
        redact: Redact,
        *,
        connect_s: float,
        silence_s: float,
    ) -> None:
        self._session = session
        self.redact = redact
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=silence_s)

    async def request(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes] | None = None,
    ) -> ApiResponse:
        """Send one request. Raises `Refused` for an answer that is not 200, else `Failed`.

        On a pooled connection that turns out to be dead it is sent once more. With an iterator as
        *body*, part of which may have arrived, `DeadConnection` is raised instead.
        """
        try:
            return await self._send(method, url, headers, body)
        except DeadConnection:
            if isinstance(body, AsyncIterator):
                raise
        return await self._send(method, url, headers, body)

    async def _send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> ApiResponse:
        connection = SimpleNamespace(is_reused=False)
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=self._timeout,
                trace_request_ctx=connection,
            ) as response:
                text = await _read_body(response)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            # aiohttp's frames in the traceback hold the error: a reference cycle, and the body.
            fault = fault_of_exception(error.with_traceback(None))
            # aiohttp's texts name the address, which is a secret where it takes an upload.
            fault = replace(fault, reason=self.redact(fault.reason))
            is_dead = connection.is_reused and isinstance(error, BROKEN)
            raise (DeadConnection if is_dead else Failed)(fault) from None
        if response.status != 200:
            retry_after = response.headers.get("Retry-After")
            fault = fault_of_status(response.status, text, self.redact, retry_after)
            raise Refused(fault, response.status, is_page=error_object(text) is None)
        try:
            parsed = orjson.loads(text or b"{}")
        except orjson.JSONDecodeError:
            parsed = None
        if not isinstance(parsed, dict):
            raise Failed(empty_answer())
        return ApiResponse(response.headers, parsed)


async def _note_reuse(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object
) -> None:
    context.trace_request_ctx.is_reused = True


def reuse_tracing() -> aiohttp.TraceConfig:
    """Return what a session needs for `ApiClient` to learn which connections are reused."""
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    return tracing


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """Read the body, up to a size that cannot fill the memory."""
    text = bytearray()
    while len(text) < MAX_ANSWER_BYTES and (data := await response.content.readany()):
        text += data
    return bytes(text)
