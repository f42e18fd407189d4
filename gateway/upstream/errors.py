"""Turns Google's error, a proxy's page or aiohttp's exception into one `Fault`.

A violation of a quota "PerDay" may come with a short `retryDelay`: the quota's name is right.
"""

import asyncio
import re
from collections.abc import Callable
from errno import EMFILE, ENFILE

import aiohttp

from gateway.errors import (
    BadRequest,
    Forbidden,
    GatewayError,
    ModelNotFound,
    NotFound,
    QuotaSpent,
    RateLimited,
    TooLarge,
    Unavailable,
    UpstreamAuth,
    UpstreamEmpty,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamTimeout,
)
from gateway.upstream.faults import Fault, Kind
from gateway.upstream.google_error import GoogleError, Redact, error_object, seconds_in

MAX_REASON = 256
LONGEST_BUSY_DELAY_S = 300.0
# Not a standard HTTP status: used by Google and nginx.
CANCELLED = 499
# Pages with these mean what Google's own errors would; a 500 does not show who failed.
_PROXY_STATUSES = frozenset({502, 503, 504})

_KEY_TEXT = re.compile(r"API[ _]key (?:not valid|not found|expired)|api key expired", re.IGNORECASE)
_DEAD_TEXT = re.compile(
    r"has been suspended|reported as leaked|has not been used in project|it is disabled"
    r"|are blocked|restricted",
    re.IGNORECASE,
)
# A name that the client chose, such as that of an object in Cloud Storage, follows one of these
# signs. Whatever comes behind it says nothing about a key.
_BEFORE_NAMES = re.compile(r"(?:(?:Consumer|project) '[^']*'|: (?=Consumer )|[^'/:])*")
# The key may be used from other addresses only.
_ADDRESS_REASON = "API_KEY_IP_ADDRESS_BLOCKED"
_DEAD_REASONS = frozenset(
    {
        "CONSUMER_SUSPENDED",
        "CONSUMER_INVALID",
        "SERVICE_DISABLED",
        "API_KEY_SERVICE_BLOCKED",
        _ADDRESS_REASON,
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_ANDROID_APP_BLOCKED",
        "API_KEY_IOS_APP_BLOCKED",
    }
)

_NOTHING_TEXT = re.compile(r"\blimit: 0\b(?!\.)")
_CACHE_TEXT = re.compile(r"CachedContent not found|cache content metadata")
# "You do not have permission to access the File abc or it may not exist."
_FILE_TEXT = re.compile(r"permission to access the \w+ \S+ or it may not exist")

_FIELD_TEXT = re.compile(r"\* GenerateContentRequest\.([\w.\[\]]+):")

_NO_DESCRIPTOR = frozenset({EMFILE, ENFILE})


def fault_of_status(
    status: int, body: bytes, redact: Redact, retry_after: str | None = None
) -> Fault:
    """Return the fault of an answer with *status* that is not 200.

    *retry_after* is the header of that name; a delay in the body takes precedence.
    """
    if 300 <= status < 400:
        return Fault(Kind.REDIRECT, UpstreamError("The upstream answered with a redirect."))
    error = error_object(body)
    if error is None:
        return _fault_of_page(status, seconds_in(retry_after or ""))
    google_error = GoogleError(error, status, redact)
    google_error.delay = google_error.delay or seconds_in(retry_after or "")
    return _fault_of(google_error)


def fault_of_error(error: object, redact: Redact) -> Fault:
    """Return the fault of Google's *error* object in an event, by its own code."""
    if not isinstance(error, dict):
        return _fault_of_page(500)
    code = error.get("code")
    return _fault_of(GoogleError(error, code if isinstance(code, int) else 500, redact))


def fault_of_exception(error: BaseException) -> Fault:
    """Return the fault of an exception that aiohttp raised before the first event."""
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR:
        message = "The gateway has no file descriptor left for a connection to upstream."
        return Fault(Kind.CRAMPED, Unavailable(message, retry_after=1.0))
    if isinstance(error, aiohttp.SocketTimeoutError | aiohttp.ConnectionTimeoutError):
        client_error: GatewayError = UpstreamTimeout("The upstream could not be reached in time.")
    elif isinstance(error, asyncio.TimeoutError):
        return Fault(Kind.STUCK, UpstreamTimeout("The upstream did not begin to answer in time."))
    elif isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        client_error = UpstreamError("The upstream broke the connection.")
    else:
        client_error = UpstreamError("The upstream could not be reached.")
    reason = f"{type(error).__name__}: {error}"[:MAX_REASON].removesuffix(": ")
    return Fault(Kind.NETWORK, client_error, reason=reason)


def _fault_of(google_error: GoogleError) -> Fault:
    fault = _BY_STATUS.get(google_error.status, _by_class)(google_error)
    fault.error.message = fault.error.message or _without_reason(google_error.status)
    return fault


def _bad_request(google_error: GoogleError) -> Fault:
    if "API_KEY_INVALID" in google_error.reasons or _KEY_TEXT.match(google_error.unquoted):
        return Fault(Kind.KEY_INVALID, _no_usable_key())
    if google_error.unquoted.startswith("User location is not supported"):
        return Fault(
            Kind.REGION,
            UpstreamAuth(google_error.message, code="upstream_region_error"),
            is_local=True,
        )
    error = (
        TooLarge(google_error.message)
        if google_error.status == 413
        else BadRequest(google_error.message)
    )
    field = _FIELD_TEXT.search(google_error.unquoted)
    error.param = next(filter(None, google_error.fields), field and field[1])
    return Fault(Kind.REQUEST, error)


def _unauthenticated(_google_error: GoogleError) -> Fault:
    return Fault(Kind.KEY_INVALID, _no_usable_key())


def _forbidden(google_error: GoogleError) -> Fault:
    if google_error.reasons & _DEAD_REASONS:
        is_local = _ADDRESS_REASON in google_error.reasons
        return Fault(Kind.KEY_DEAD, _no_usable_key(), is_local=is_local)
    if _CACHE_TEXT.search(google_error.message):
        return _no_cache(google_error)
    # Checked before the patterns below: the file's name is chosen by the client.
    if _FILE_TEXT.search(google_error.message):
        return Fault(Kind.NOT_HERE, NotFound(google_error.message))
    own_words = _BEFORE_NAMES.match(google_error.unquoted)
    if own_words and _DEAD_TEXT.search(own_words[0]):
        return Fault(Kind.KEY_DEAD, _no_usable_key())
    return Fault(Kind.REQUEST, Forbidden(google_error.message))


def _no_cache(google_error: GoogleError) -> Fault:
    # Cached content belongs to the project of one key.
    return Fault(Kind.NOT_HERE, NotFound(google_error.message, param="google.cached_content"))


def _not_found(google_error: GoogleError) -> Fault:
    if _CACHE_TEXT.search(google_error.message):
        return _no_cache(google_error)
    if "is not found for API version" in google_error.message or "models/" in google_error.message:
        return Fault(Kind.MODEL_UNKNOWN, ModelNotFound(google_error.message, param="model"))
    return Fault(Kind.REQUEST, NotFound(google_error.message))


def _exhausted(google_error: GoogleError) -> Fault:
    delay = google_error.delay
    if _NOTHING_TEXT.search(google_error.message):
        return Fault(Kind.NOT_IN_PLAN, QuotaSpent(google_error.message))
    if google_error.is_day_spent or (delay is not None and delay > LONGEST_BUSY_DELAY_S):
        return Fault(Kind.SPENT, QuotaSpent(google_error.message))
    if delay is None and not google_error.quotas:
        return Fault(Kind.SHARED, RateLimited(google_error.message, retry_after=5.0))
    retry_after = max(1.0, delay if delay is not None else 5.0)
    error = RateLimited(google_error.message, retry_after=retry_after)
    return Fault(Kind.BUSY, error, retry_after)


def _internal(google_error: GoogleError) -> Fault:
    message = google_error.message or "The upstream failed."
    return Fault(Kind.INTERNAL, UpstreamError(message, code="upstream_internal"))


def _unavailable(google_error: GoogleError) -> Fault:
    message, delay = google_error.message or "The model is overloaded.", google_error.delay
    return Fault(Kind.OVERLOADED, UpstreamOverloaded(message, retry_after=delay or 2.0), delay)


def _timed_out(google_error: GoogleError) -> Fault:
    # Timed out, or cancelled, and not by the gateway, which reads no answer to a call it cancels.
    kind = UpstreamError if google_error.status == CANCELLED else UpstreamTimeout
    message = google_error.message or "The upstream gave up on the request."
    return Fault(Kind.DEADLINE, kind(message))


def _by_class(google_error: GoogleError) -> Fault:
    if 400 <= google_error.status < 500:
        return Fault(Kind.REQUEST, BadRequest(google_error.message))
    return _internal(google_error)


_BY_STATUS: dict[int, Callable[[GoogleError], Fault]] = {
    400: _bad_request,
    401: _unauthenticated,
    403: _forbidden,
    404: _not_found,
    408: _timed_out,
    413: _bad_request,
    429: _exhausted,
    CANCELLED: _timed_out,
    500: _internal,
    502: _unavailable,
    503: _unavailable,
    504: _timed_out,
}


def _fault_of_page(status: int, delay: float | None = None) -> Fault:
    """Return the fault of an answer without a Google error: a proxy's page, an empty body."""
    if status == 413:
        return Fault(Kind.REQUEST, TooLarge("The request is too large for the upstream."))
    message = _without_reason(status)
    if 400 <= status < 500 or status in _PROXY_STATUSES:
        google_error = GoogleError({"message": message}, status, str)
        google_error.delay = delay
        return _fault_of(google_error)
    return Fault(Kind.GARBAGE, UpstreamError(message))


def _without_reason(status: int) -> str:
    return f"The upstream answered {status} without a reason."


def empty_answer() -> Fault:
    """Return the fault of a 200 that held nothing, HTML or truncated JSON."""
    return Fault(Kind.GARBAGE, UpstreamEmpty("The upstream's answer contained nothing to relay."))


def _no_usable_key() -> GatewayError:
    return UpstreamAuth("The upstream accepts no credential; the operator has to fix this.")
