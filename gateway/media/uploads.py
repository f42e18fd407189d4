"""The large items of one request: stored by the Files API, all of them in one project.

A call is sent with one key and can use only the files of that key's project. So the items are
stored one after the other, and the first decides on the project if nothing else does.

The handler has them stored, behind the translation: what is refused before is not uploaded, and a
stream is kept alive meanwhile. Until then stand-ins take the place of their addresses.
"""

from dataclasses import dataclass, replace

from gateway.errors import QuotaSpent, RateLimited, UpstreamAuth
from gateway.exchange import Blob, Exchange, Json
from gateway.features import map_parts
from gateway.media.concurrently import run_all
from gateway.media.files import FilesClient
from gateway.media.formats import Claim
from gateway.media.parts import MediaPart, naming_part
from gateway.media.projects import project_of
from gateway.media.shelf import StoredFile
from gateway.protocols import Window

# Raised when the keys of a project cannot serve any more.
KEY_ERRORS = (UpstreamAuth, RateLimited, QuotaSpent)


@dataclass(frozen=True, slots=True)
class _Large:
    """An item that goes through the Files API, and the part it belongs to."""

    part: MediaPart
    window: Window
    mime: str


class Uploads:
    """The items of *exchange* that go through the Files API; true if there are any."""

    __slots__ = ("_exchange", "_in_process", "_items", "_named_files")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._items: list[_Large] = []
        # The field and the URI of each file of Gemini's that the client names.
        self._named_files: list[tuple[str, str]] = []
        # Files that Gemini still processes. The same one may belong to several parts.
        self._in_process: dict[StoredFile, Claim] = {}

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, part: MediaPart, window: Window, mime: str) -> None:
        """Add the bytes of *window* as the content of *part*."""
        self._exchange.media[part.at] = Blob(mime, uri=f"upload:{len(self._items)}")
        self._items.append(_Large(part, window, mime))

    def note_named_file(self, param: str, uri: str) -> None:
        """Note that the client's field *param* names the file at *uri*, which one project owns."""
        self._named_files.append((param, uri))

    async def store(self, files: FilesClient, model: str) -> None:
        """Store all items where *model* can use them; put their addresses into media and call.

        They go to the project of what the client names. Their bytes are not needed afterwards.
        Raises `GatewayError`.
        """
        cached = self._exchange.dialect.cached_content(self._exchange.payload)
        names = [cached, *self._named_files] if cached else self._named_files
        project = await project_of(names, files)
        stored: list[StoredFile] = []
        try:
            await self._store(files, model, project, stored)
        except KEY_ERRORS:
            if project is not None or len(self._items) == 1:
                raise
            # The keys of the project became unusable half way: all items are stored again in
            # another one, beginning with the item that failed.
            at = len(stored)
            self._items = self._items[at:] + self._items[:at]
            stored.clear()
            await self._store(files, model, None, stored)
        self._put(stored)

    async def _store(
        self, files: FilesClient, model: str, project: str | None, stored: list[StoredFile]
    ) -> None:
        """Store all items in *project*, or in that of the first item where it is None."""
        for item in self._items:
            with naming_part(item.part.claim):
                file = await files.store(item.window, item.mime, model, project)
            project = file.project
            stored.append(file)

    def _put(self, stored: list[StoredFile]) -> None:
        """Put the addresses of the *stored* items in the place of their stand-ins."""
        media, addresses = self._exchange.media, {}
        for item, file in zip(self._items, stored, strict=True):
            addresses[media[item.part.at].uri] = file.blob.uri
            media[item.part.at] = file.blob
            if not file.is_ready:
                self._in_process.setdefault(file, item.part.claim)
        self._items.clear()

        def change(part: Json) -> Json:
            uri = part.get("fileData", {}).get("fileUri")
            if uri not in addresses:
                return part
            return {**part, "fileData": {**part["fileData"], "fileUri": addresses[uri]}}

        project = stored[0].project
        self._exchange.media_project = project
        self._exchange.call = replace(map_parts(self._exchange.call, change), project=project)

    async def wait(self, files: FilesClient) -> None:
        """Wait until Gemini has processed all files; the first fault ends the waiting.

        Raises `GatewayError` naming the part.
        """
        await run_all(_wait_for(files, stored, claim) for stored, claim in self._in_process.items())


async def _wait_for(files: FilesClient, stored: StoredFile, claim: Claim) -> None:
    with naming_part(claim):
        await files.wait_until_ready(stored)
