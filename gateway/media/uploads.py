"""The large items of one request: stored by the Files API, all of them in one project.

A call is sent with one key and can use only the files of that key's project. So the items are
stored one after the other, and the first decides on the project if nothing else does.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial

from gateway.errors import QuotaSpent, RateLimited, UpstreamAuth
from gateway.exchange import Exchange
from gateway.media.containers import Window
from gateway.media.files import FilesClient
from gateway.media.formats import Claim
from gateway.media.parts import MediaPart, naming_part
from gateway.media.projects import project_of
from gateway.media.shelf import StoredFile

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

    __slots__ = ("_exchange", "_items", "_named_files")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._items: deque[_Large] = deque()
        # The field and the URI of each file of Gemini's that the client names.
        self._named_files: list[tuple[str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, part: MediaPart, window: Window, mime: str) -> None:
        """Add the bytes of *window* as the content of *part*."""
        self._items.append(_Large(part, window, mime))

    def note_named_file(self, param: str, uri: str) -> None:
        """Note that the client's field *param* names the file at *uri*, which one project owns."""
        self._named_files.append((param, uri))

    async def store(self, files: FilesClient, model: str) -> None:
        """Store all items where *model* can use them, and put their blobs into `exchange.media`.

        They go to the project of what the client names. Where Gemini still processes some,
        `exchange.wait_for_media` waits for them. Raises `GatewayError`.
        """
        cached = self._exchange.dialect.cached_content(self._exchange.payload)
        names = [cached, *self._named_files] if cached else self._named_files
        project = await project_of(names, files)
        try:
            await self._store(files, model, project)
        except KEY_ERRORS:
            if project is not None or len(self._items) == 1:
                raise
            # The keys of the project became unusable half way: all items are stored again in
            # another one, beginning with the item that failed.
            await self._store(files, model, None)

    async def _store(self, files: FilesClient, model: str, project: str | None) -> None:
        """Store all items in *project*, or in that of the first item where it is None."""
        # The same file may belong to several parts.
        in_process: dict[StoredFile, Claim] = {}
        for _ in range(len(self._items)):
            item = self._items[0]
            with naming_part(item.part.claim):
                stored = await files.store(item.window, item.mime, model, project)
            project = stored.project
            self._exchange.media[item.part.at] = stored.blob
            self._items.rotate(-1)
            if not stored.is_ready:
                in_process.setdefault(stored, item.part.claim)
        self._exchange.media_project = project
        if in_process:
            self._exchange.wait_for_media = partial(_wait_for_all, files, in_process)


async def _wait_for_all(files: FilesClient, in_process: dict[StoredFile, Claim]) -> None:
    """Wait until Gemini has processed all files; the first fault ends the waiting for the others.

    Raises `GatewayError` naming the part.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for stored, claim in in_process.items():
                group.create_task(_wait_for(files, stored, claim))
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None


async def _wait_for(files: FilesClient, stored: StoredFile, claim: Claim) -> None:
    with naming_part(claim):
        await files.wait_until_ready(stored)
