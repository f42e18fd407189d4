"""Large media for the Files API: each content is uploaded once, whoever asks for it."""

import asyncio
import hashlib
import re
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field

from gateway.errors import GatewayError, InvalidMedia
from gateway.exchange import Blob
from gateway.media.references import is_uploaded
from gateway.media.shelf import Content, Shelf, StoredFile
from gateway.process.threads import in_thread
from gateway.protocols import FilesUpstream, Window

_WORD = re.compile(r"[\w-]+")
_HASH_STEP = 1_048_576


@dataclass(slots=True)
class _PendingUpload:
    """Concurrent requests for the same content: an error of one applies to the others, too."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiters: int = 0
    error: GatewayError | None = None


class FilesClient:
    """Stores media with *upstream* and remembers them on *shelf*."""

    def __init__(self, upstream: FilesUpstream) -> None:
        self._upstream = upstream
        self.shelf = Shelf()
        self._pending: dict[tuple[Content, str | None], _PendingUpload] = {}

    def owner(self, uri: str) -> str | None:
        """Return the project of the file at *uri*, None if unknown."""
        return self.shelf.owner(uri) or self._upstream.owner(uri)

    async def find(self, name: str) -> str | None:
        """Return the project of the file or cached content *name*, as `FilesUpstream.find` does."""
        return self.shelf.owner(name) or await self._upstream.find(name)

    def forget(self, message: str, blobs: Iterable[Blob]) -> bool:
        """Forget those of *blobs* that were uploaded here and are gone; False if there are none.

        *message* is upstream's, which names the file by its id.
        """
        words = set(_WORD.findall(message))
        lost_uris = {
            blob.uri
            for blob in blobs
            if is_uploaded(blob) and blob.uri and blob.uri.rpartition("/")[2] in words
        }
        for uri in lost_uris:
            # Another request, or another process, may have noticed it before.
            self.shelf.forget(uri)
        return bool(lost_uris)

    def serves(self, project: str, model: str) -> bool:
        """Tell whether *project* can serve *model*, or no other one can either."""
        return self._upstream.choose((project,), model) is not None

    async def store(self, window: Window, mime: str, model: str, project: str | None) -> StoredFile:
        """Return the uploaded file with the bytes of *window*, uploading it if necessary.

        *project* is the one that the request is bound to already; without it one is preferred whose
        keys can serve *model*. Gemini may still process the file. Raises `GatewayError`.
        """
        content = (await in_thread(_digest, window), mime)
        key = content, project
        pending = self._pending.setdefault(key, _PendingUpload())
        pending.waiters += 1
        try:
            # Requests for the same content in the same project wait for its first upload.
            async with pending.lock:
                stored = self._find_stored(content, model, project)
                return stored or await self._upload(window, content, model, project, pending)
        finally:
            pending.waiters -= 1
            if not pending.waiters:
                del self._pending[key]

    async def wait_until_ready(self, stored: StoredFile) -> None:
        """Wait until Gemini has processed *stored*. Raises `GatewayError`.

        A file that takes too long stays known: the next request for its content waits on.
        """
        uri = stored.blob.uri
        assert uri is not None
        try:
            await self._upstream.wait_until_ready(uri, stored.project)
        except InvalidMedia:
            self.shelf.forget(uri)
            raise
        self.shelf.set_ready(uri)

    def _find_stored(self, content: Content, model: str, project: str | None) -> StoredFile | None:
        files = self.shelf.of(content)
        if project is None and files:
            project = self._upstream.choose(files, model)
        return files.get(project) if project is not None else None

    async def _upload(
        self,
        window: Window,
        content: Content,
        model: str,
        project: str | None,
        pending: _PendingUpload,
    ) -> StoredFile:
        if pending.error is not None:
            raise copy(pending.error)
        try:
            file = await self._upstream.upload(window, content[1], model=model, project=project)
        except GatewayError as error:
            # The handlers of an error may modify it.
            pending.error = copy(error).bare()
            raise
        return self.shelf.add(content, file.project, file.uri, is_ready=file.is_ready)


def _digest(window: Window) -> bytes:
    digest = hashlib.sha256()
    for at in range(0, len(window), _HASH_STEP):
        digest.update(window[at : at + _HASH_STEP])
    return digest.digest()
