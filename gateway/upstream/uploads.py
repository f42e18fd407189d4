"""The upload of one file to Gemini's Files API.

A resumable upload (ai.google.dev/api/files, recorded in `rubyllm.uploadedfile-*`): one request
announces size and type and is answered with an address; the bytes follow in steps, each with its
offset; after a break the address tells how much has arrived.
"""

import re
from collections.abc import AsyncIterator

import orjson
from yarl import URL

from gateway.errors import UpstreamAuth, UpstreamError
from gateway.exchange import Json
from gateway.protocols import Window
from gateway.upstream.api_client import ApiClient, DeadConnection, Refused
from gateway.upstream.credential import Credential
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.google_error import Redact
from gateway.upstream.processing import file_fault, is_active

_GOOGLE = URL("https://generativelanguage.googleapis.com")
_NAME = re.compile(r"files/[A-Za-z0-9_-]{1,64}")
# The granularity of steps that upstream reports.
_STEP = 8_388_608
_SLICE = 196_608
_MAX_DIGITS = 20
_BYTES = {"Content-Type": "application/octet-stream"}
_OF_THE_REQUEST = frozenset({Kind.REQUEST, Kind.NOT_HERE, Kind.MODEL_UNKNOWN})
# Addresses, ids of uploads, and anything else that may be a secret.
_SECRET = re.compile(r"https?://\S+|upload_id\S*|[A-Za-z0-9_-]{40,}")


class Upload:
    """The upload of *window* as *mime*; `proceed` continues where the last attempt stopped.

    *api* sends the requests, *base_url* is the upstream's. No message names an upload address: it
    holds a secret.
    """

    __slots__ = (
        "_address",
        "_api",
        "_base",
        "_credential",
        "_file",
        "_is_offset_unsure",
        "_mime",
        "_offset",
        "_window",
    )

    def __init__(self, api: ApiClient, base_url: str, window: Window, mime: str) -> None:
        self._api = api
        self._base = base_url.rstrip("/")
        self._window = window
        self._mime = mime
        self._credential: Credential | None = None
        self._address: URL | None = None
        self._offset = 0
        # A step was cut: how much of it has arrived is unknown.
        self._is_offset_unsure = False
        self._file: Json | None = None

    async def proceed(self, credential: Credential) -> tuple[str, bool]:
        """Upload what is missing; return the file's URI and whether it may be used already.

        A `gateway.upstream.retrying.Work`: with another credential than before it starts over.
        """
        if credential is not self._credential:
            self._begin_anew()
            self._credential = credential
        address = self._address
        if address is None:
            address = self._address = await self._start(credential)
        may_repeat = True
        while self._file is None:
            try:
                if self._is_offset_unsure:
                    await self._query_offset(address)
                else:
                    await self._send_step(address)
            except DeadConnection:
                if not may_repeat:
                    raise
                may_repeat = False
        return self._file["uri"], is_active(self._file, self._api.redact)

    def _begin_anew(self) -> None:
        self._address = self._file = None
        self._offset = 0
        self._is_offset_unsure = False

    async def _start(self, credential: Credential) -> URL:
        """Announce the file and return the address that takes its bytes."""
        headers = {
            "x-goog-api-key": credential.key,
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(len(self._window)),
            "X-Goog-Upload-Header-Content-Type": self._mime,
        }
        body = orjson.dumps({"file": {"display_name": "gateway-media"}})
        url = URL(f"{self._base}/upload/v1beta/files")
        try:
            response = await self._api.request("POST", url, headers, body)
        except Refused as refused:
            raise _start_refused(refused) from None
        return _upload_address(response.headers.get("X-Goog-Upload-URL", ""), self._base)

    async def _send_step(self, address: URL) -> None:
        """Send the next bytes; the last ones end the upload."""
        start, end = self._offset, min(self._offset + _STEP, len(self._window))
        is_last = end == len(self._window)
        headers = {
            **_BYTES,
            "Content-Length": str(end - start),
            "X-Goog-Upload-Offset": str(start),
            "X-Goog-Upload-Command": "upload, finalize" if is_last else "upload",
        }
        self._is_offset_unsure = True
        try:
            response = await self._api.request("POST", address, headers, self._slices(start, end))
        except Refused as refused:
            if is_last and _is_of_the_file(refused) and not refused.is_page:
                raise Failed(_file_refused(refused)) from None
            raise self._start_over_if_lost(refused) from None
        self._is_offset_unsure = False
        self._offset = end
        if is_last:
            self._file = self._file_in(response.body)

    async def _query_offset(self, address: URL) -> None:
        """Ask how much has arrived; raise `Failed` if the upload is lost."""
        headers = {**_BYTES, "X-Goog-Upload-Command": "query"}
        try:
            response = await self._api.request("POST", address, headers, b"")
        except Refused as refused:
            raise self._start_over_if_lost(refused) from None
        self._is_offset_unsure = False
        if response.headers.get("X-Goog-Upload-Status", "active") != "active":
            # The answer to the last step was lost; this may repeat it.
            self._file = self._file_in(response.body)
            return
        arrived = response.headers.get("X-Goog-Upload-Size-Received", "")
        # Python refuses to read numbers of thousands of digits.
        size = int(arrived[:_MAX_DIGITS]) if arrived.isdecimal() else 0
        self._offset = min(size, len(self._window))

    def _file_in(self, body: Json) -> Json:
        """Return the file that *body* describes, bare or in a field; raise `Failed` if none."""
        file = body.get("file", body)
        if isinstance(file, dict) and isinstance(file.get("uri"), str):
            name = file.get("name")
            if isinstance(name, str) and _NAME.fullmatch(name):
                return file
        self._begin_anew()
        raise Failed(_api_fault("returned an answer that names no file"))

    def _start_over_if_lost(self, refused: Refused) -> Failed:
        """Start over if *refused* says that the upload no longer exists.

        If that does not help, it is no fault of the client's, who never named it.
        """
        if refused.fault.kind not in _OF_THE_REQUEST:
            return refused
        self._begin_anew()
        return Failed(_api_fault("has lost an upload"))

    async def _slices(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes in slices small enough to be decoded without blocking the loop."""
        for at in range(start, end, _SLICE):
            yield self._window[at : min(at + _SLICE, end)]


def without_address(redact: Redact) -> Redact:
    """Return a *redact* that also removes what looks like an upload address."""
    return lambda text: _SECRET.sub("[redacted]", redact(text))


def _upload_address(text: str, base: str) -> URL:
    """Return the upload address; media are sent only to the upstream, or to Google behind it."""
    try:
        address = URL(text, encoded=True)
        if address.origin() in {URL(base).origin(), _GOOGLE}:
            return address
    except ValueError:
        pass
    raise Failed(_api_fault("named no address for the upload"))


def _start_refused(refused: Refused) -> Failed:
    """Return the fault of a refused announcement: only size and type in it are the client's."""
    if refused.fault.kind not in _OF_THE_REQUEST:
        return refused
    if _is_of_the_file(refused):
        return Failed(_file_refused(refused))
    if refused.status == 403:
        error = UpstreamAuth("Gemini's Files API accepts no credential of this gateway.")
        return Failed(Fault(Kind.NOT_HERE, error))
    return Failed(_api_fault(f"answered with status {refused.status}"))


def _is_of_the_file(refused: Refused) -> bool:
    return refused.fault.kind is Kind.REQUEST and refused.status in {400, 413}


def _file_refused(refused: Refused) -> Fault:
    return file_fault(f"Gemini's Files API refuses this file: {refused.fault.error.message}")


def _api_fault(what: str) -> Fault:
    return Fault(Kind.GARBAGE, UpstreamError(f"Gemini's Files API {what}."))
