"""Gemini's processing of an uploaded file, which takes seconds to minutes for sound and video.

A file may be used once its state is ACTIVE; before that a call that names it is refused.
"""

from yarl import URL

from gateway.errors import InvalidMedia, NotFound
from gateway.exchange import Json
from gateway.upstream.api_client import ApiClient, Refused
from gateway.upstream.credential import Credential
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.google_error import Redact

_BUSY = frozenset({Kind.BUSY, Kind.SHARED})
_GONE = frozenset({Kind.REQUEST, Kind.NOT_HERE, Kind.MODEL_UNKNOWN})


def is_active(file: Json, redact: Redact) -> bool:
    """Tell whether *file*, as the Files API describes it, may be used.

    Raises `Failed` if Gemini could not process it. *redact* is applied to Gemini's reason.
    """
    if file.get("state") == "FAILED":
        error = file.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        reason = f": {redact(message)[:500]}" if isinstance(message, str) else "."
        raise Failed(file_fault(f"Gemini cannot process this file{reason}"))
    return file.get("state") == "ACTIVE"


async def look(api: ApiClient, url: URL, credential: Credential) -> bool:
    """Tell whether the file at *url* may be used by now.

    A `gateway.upstream.retrying.Work`. Raises `Failed`, with `NotFound` naming the file if it is
    gone.
    """
    try:
        response = await api.request("GET", url, {"x-goog-api-key": credential.key})
    except Refused as refused:
        if refused.fault.kind in _GONE:
            message = f"Gemini has lost the file {url.name} of this request."
            raise Failed(Fault(Kind.REQUEST, NotFound(message))) from None
        if refused.fault.kind in _BUSY:
            return False
        raise
    return is_active(response.body, api.redact)


def file_fault(message: str) -> Fault:
    """Return the fault of a file that Gemini does not take."""
    return Fault(Kind.REQUEST, InvalidMedia(message, code="media_not_processed"))
