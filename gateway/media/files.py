"""Large media through Gemini's Files API, each of them once in 47 hours per credential.

A resumable upload (ai.google.dev/api/files, recorded in `rubyllm.uploadedfile-*`): one request
announces size and type and is answered with an address; the bytes follow in steps, each naming its
offset; after a break the address says how much has arrived. A file may be used once it is ACTIVE,
belongs to the project of the key that uploaded it, and is deleted after 48 hours.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, repeat

import aiohttp
import orjson
from yarl import URL

from gateway.errors import (
    GatewayError,
    InvalidMedia,
    RateLimited,
    UpstreamAuth,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.exchange import Blob, FilesLease, FilesUpstream, Json
from gateway.media.containers import Window

# SHA-256 of the bytes, and the type they go up with.
Content = tuple[bytes, str]
# Publishes key, value and seconds to the other processes.
Publish = Callable[[str, bytes, float], None]

_GOOGLE = URL("https://generativelanguage.googleapis.com")
_KEEP_S = 47 * 3600
_MAX_KNOWN = 4096
# Upstream names this as the granularity of steps.
_STEP = 8_388_608
_SLICE = 196_608
_HASH_STEP = 1_048_576
_ATTEMPTS = 3
_POLL_S = (0.2, 0.4, 0.8, 1.5, 2.0)
_MAX_ANSWER = 65_536


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file upstream: its address, and the credential that it belongs to."""

    blob: Blob
    credential: str
    expires: float


class Shelf:
    """What has been uploaded, by content hash and type; the oldest go first."""

    __slots__ = ("_clock", "_files", "_owners", "_publish")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._publish: Publish | None = None
        self._files: OrderedDict[Content, dict[str, StoredFile]] = OrderedDict()
        self._owners: OrderedDict[str, str] = OrderedDict()

    def find(self, content: Content, credential: str | None) -> StoredFile | None:
        """Give the file that *credential* has of *content*; any credential's when it is None."""
        for stored in self._files.get(content, {}).values():
            if credential in {None, stored.credential} and stored.expires > self._clock():
                return stored
        return None

    def add(self, content: Content, credential: str, uri: str) -> StoredFile:
        """Note an uploaded file, and tell the other processes."""
        self._tell(content, credential, uri)
        return self._put(content, credential, uri, _KEEP_S)

    def share(self, publish: Publish) -> None:
        """Tell the other processes from now on what has been uploaded, by *publish*."""
        self._publish = publish

    def hear(self, key: str, value: bytes, left_s: float) -> None:
        """Note what another process uploaded; an empty *value* says that it is gone."""
        digest, mime, credential = key.split("|", 2)
        content = bytes.fromhex(digest), mime
        if value:
            self._put(content, credential, value.decode(), left_s)
        else:
            self._drop(content, credential)

    def forget(self, uri: str) -> bool:
        """Have the file at *uri*, which is gone, uploaded anew, by all; False if none is there."""
        for content, files in self._files.items():
            for credential, stored in files.items():
                if stored.blob.uri == uri:
                    self._drop(content, credential)
                    self._tell(content, credential, "")
                    return True
        return False

    def _drop(self, content: Content, credential: str) -> None:
        stored = self._files.get(content, {}).pop(credential, None)
        if stored is not None and stored.blob.uri is not None:
            self._owners.pop(stored.blob.uri, None)

    def _tell(self, content: Content, credential: str, uri: str) -> None:
        if self._publish is not None:
            key = "|".join((content[0].hex(), content[1], credential))
            self._publish(key, uri.encode(), _KEEP_S)

    def _put(self, content: Content, credential: str, uri: str, left_s: float) -> StoredFile:
        stored = StoredFile(Blob(content[1], uri=uri), credential, self._clock() + left_s)
        self._files.setdefault(content, {})[credential] = stored
        self._owners[uri] = credential
        for known in (self._files, self._owners):
            if len(known) > _MAX_KNOWN:
                known.popitem(last=False)
        return stored

    def owner(self, uri: str) -> str | None:
        """Give the name of the credential that uploaded the file at *uri*, if it is known."""
        return self._owners.get(uri)


class FilesClient:
    """Uploads media and waits until they can be used."""

    def __init__(self, upstream: FilesUpstream, timeout_s: float) -> None:
        self._upstream = upstream
        self._timeout_s = timeout_s
        self.shelf = Shelf()
        self._uploading: dict[tuple[Content, str], asyncio.Lock] = {}
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def owner(self, uri: str) -> str | None:
        """Give the name of the credential that owns the file at *uri*, if it is known."""
        return self.shelf.owner(uri) or self._upstream.owner(uri)

    def forget(self, told: str, blobs: Iterable[Blob]) -> bool:
        """Forget those of *blobs*, uploaded here, that *told* says are gone; False if none is.

        *told* are upstream's words, which name the file by its id.
        """
        words = set(told.split())
        named = {blob.uri for blob in blobs if blob.uri and blob.uri.rpartition("/")[2] in words}
        forgotten = [uri for uri in named if self.shelf.forget(uri)]
        return bool(forgotten)

    async def store(self, window: Window, mime: str, credential: str | None) -> StoredFile:
        """Give the file upstream with the bytes of *window*, uploading them if need be.

        *credential* is the one that the request is bound to already. Raises `GatewayError`.
        """
        content = (await asyncio.to_thread(_digest, window), mime)
        known = self.shelf.find(content, credential)
        wanted = known.credential if known else credential
        refused: list[str] = []
        while True:
            lease = self._upstream.lease(wanted, refused)
            try:
                return await self._store(window, content, lease)
            except (UpstreamAuth, RateLimited):
                refused.append(lease.credential)
                if len(refused) == _ATTEMPTS:
                    raise

    async def _store(self, window: Window, content: Content, lease: FilesLease) -> StoredFile:
        key = (content, lease.credential)
        lock = self._uploading.setdefault(key, asyncio.Lock())
        try:
            # The same content for the same credential waits for the first upload of it.
            async with lock:
                known = self.shelf.find(content, lease.credential)
                if known is not None:
                    return known
                uri = await self._upload(window, content[1], lease)
                return self.shelf.add(content, lease.credential, uri)
        finally:
            if not lock.locked():
                self._uploading.pop(key, None)

    async def _upload(self, window: Window, mime: str, lease: FilesLease) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                upload = _Upload(self._session, self._upstream.base_url, lease)
                file = await upload.send(window, await upload.start(len(window), mime))
                return await upload.wait_until_active(file)
        except TimeoutError:
            raise UpstreamTimeout("Gemini's Files API took too long.") from None
        except (aiohttp.ClientError, OSError):
            raise UpstreamError("Gemini's Files API cannot be reached.") from None


class _Upload:
    """The requests of one upload. No error tells an address: upload addresses hold secrets."""

    __slots__ = ("_base", "_headers", "_session")

    def __init__(self, session: aiohttp.ClientSession, base_url: str, lease: FilesLease) -> None:
        self._session = session
        self._base = base_url.rstrip("/")
        self._headers = {"x-goog-api-key": lease.key}

    async def start(self, size: int, mime: str) -> URL:
        """Announce the file and give the address that takes its bytes."""
        headers = {
            **self._headers,
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
            "X-Goog-Upload-Header-Content-Type": mime,
        }
        body = {"file": {"display_name": "gateway-media"}}
        answer, _ = await self._ask("POST", URL(f"{self._base}/upload/v1beta/files"), headers, body)
        return _upload_address(answer.get("X-Goog-Upload-URL", ""), self._base)

    async def send(self, window: Window, address: URL) -> Json:
        """Send the bytes step by step, taking up again what a break has cut."""
        offset, faults = 0, 0
        while True:
            try:
                file = await self._step(window, address, offset)
            except (aiohttp.ClientError, OSError, UpstreamError) as error:
                faults += 1
                if faults == _ATTEMPTS or isinstance(error, UpstreamAuth):
                    raise
                offset = min(await self._arrived(address), len(window))
                continue
            if file is not None:
                return file
            offset += _STEP

    async def wait_until_active(self, file: Json) -> str:
        """Poll until the file can be used; give its URI."""
        for pause_s in chain(_POLL_S, repeat(_POLL_S[-1])):
            state = file.get("state")
            if state == "ACTIVE" and isinstance(uri := file.get("uri"), str):
                return uri
            if state == "FAILED":
                raise InvalidMedia("Gemini cannot process this file.", code="media_not_processed")
            await asyncio.sleep(pause_s)
            url = URL(f"{self._base}/v1beta/{file.get('name')}")
            _, file = await self._ask("GET", url, self._headers, None)
        raise AssertionError("the pauses never end")

    async def _step(self, window: Window, address: URL, offset: int) -> Json | None:
        end = min(offset + _STEP, len(window))
        last = end == len(window)
        headers = {
            "Content-Length": str(end - offset),
            "X-Goog-Upload-Offset": str(offset),
            "X-Goog-Upload-Command": "upload, finalize" if last else "upload",
        }
        _, answer = await self._ask("POST", address, headers, _slices(window, offset, end))
        if not last:
            return None
        file = answer.get("file")
        return file if isinstance(file, dict) else {}

    async def _arrived(self, address: URL) -> int:
        headers, _ = await self._ask("POST", address, {"X-Goog-Upload-Command": "query"}, None)
        received = headers.get("X-Goog-Upload-Size-Received", "0")
        return int(received) if received.isdecimal() else 0

    async def _ask(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: Json | AsyncIterator[bytes] | None,
    ) -> tuple[Mapping[str, str], Json]:
        data = orjson.dumps(body) if isinstance(body, dict) else body
        if isinstance(body, dict):
            headers = {**headers, "Content-Type": "application/json"}
        async with self._session.request(
            method, url, headers=headers, data=data, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise _refusal(response.status)
            text = b""
            while not response.content.at_eof() and len(text) < _MAX_ANSWER:
                text += await response.content.read(_MAX_ANSWER)
            return response.headers, _object(text)


def _upload_address(text: str, base: str) -> URL:
    """Give the address to upload to; media go nowhere but to the upstream, or Google behind it."""
    try:
        address = URL(text, encoded=True)
        if address.origin() in {URL(base).origin(), _GOOGLE}:
            return address
    except ValueError:
        pass
    raise UpstreamError("Gemini's Files API named no address for the upload.")


async def _slices(window: Window, start: int, end: int) -> AsyncIterator[bytes]:
    """Give the bytes in slices small enough to be decoded between two others' turns."""
    for at in range(start, end, _SLICE):
        yield window[at : min(at + _SLICE, end)]


def _object(text: bytes) -> Json:
    try:
        answer = orjson.loads(text or b"{}")
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise UpstreamError("Gemini's Files API gave an answer that cannot be read.")
    return answer


def _refusal(status: int) -> GatewayError:
    if status in {401, 403}:
        return UpstreamAuth("The Files API accepts no credential of this gateway.")
    if status == 429:
        return RateLimited("Gemini's Files API takes no more uploads now.", retry_after=10)
    if status in {400, 413}:
        return InvalidMedia("Gemini's Files API refuses this file.", code="media_not_processed")
    return UpstreamError(f"Gemini's Files API answered with status {status}.")


def _digest(window: Window) -> bytes:
    digest = hashlib.sha256()
    for at in range(0, len(window), _HASH_STEP):
        digest.update(window[at : at + _HASH_STEP])
    return digest.digest()
