"""The uploads to the Files API: each content once in 47 hours per project.

A file belongs to the project of the key that uploaded it, and is deleted after 48 hours. Projects
are named by the `scope` of their credentials: the file of a key that was removed, or replaced by
another one of the same name, is no longer found.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gateway.exchange import Blob

# SHA-256 of the bytes, and the type they are uploaded with.
Content = tuple[bytes, str]
# Publishes key, value and seconds to the other processes.
Publish = Callable[[str, bytes, float], None]

KEEP_S: Final = 47 * 3600.0
# Begins the value of a file that is still processed; no address contains a blank.
_PROCESSING: Final = b"processing "
MAX_FILES: Final = 4096


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file upstream: its address, and the project that it belongs to.

    Gemini still processes it unless *is_ready*.
    """

    blob: Blob
    project: str
    expires: float
    is_ready: bool = True


class Shelf:
    """The uploaded files, by content hash and type; the oldest are evicted first."""

    __slots__ = ("_clock", "_files", "_publish")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._publish: Publish | None = None
        self._files: OrderedDict[Content, dict[str, StoredFile]] = OrderedDict()

    def of(self, content: Content) -> dict[str, StoredFile]:
        """Return the files that have *content*, by project."""
        now = self._clock()
        files = self._files.get(content, {})
        return {project: stored for project, stored in files.items() if stored.expires > now}

    def add(self, content: Content, project: str, uri: str, *, is_ready: bool = True) -> StoredFile:
        """Note an uploaded file, and tell the other processes."""
        stored = self._store(content, project, uri, KEEP_S, is_ready=is_ready)
        self._announce(content, stored)
        return stored

    def set_ready(self, uri: str) -> None:
        """Note, in all processes, that the file at *uri* is processed."""
        if (found := self._find(uri)) is not None:
            content, stored = found
            self._files[content][stored.project] = ready = replace(stored, is_ready=True)
            self._announce(content, ready)

    def share(self, publish: Publish) -> None:
        """From now on tell the other processes by *publish* what has been uploaded."""
        self._publish = publish

    def hear(self, key: str, value: bytes, left_s: float) -> None:
        """Note what another process uploaded; an empty *value* means that the file is gone."""
        digest, mime, project = key.split("|", 2)
        content = bytes.fromhex(digest), mime
        if value:
            uri = value.removeprefix(_PROCESSING)
            self._store(content, project, uri.decode(), left_s, is_ready=uri == value)
        else:
            self._drop(content, project)

    def forget(self, uri: str) -> bool:
        """Forget the lost file at *uri* in all processes; False if it is unknown."""
        if (found := self._find(uri)) is None:
            return False
        content, stored = found
        self._drop(content, stored.project)
        if self._publish is not None:
            self._publish(_key(content, stored.project), b"", KEEP_S)
        return True

    def owner(self, uri: str) -> str | None:
        """Return the project of the file at *uri*, None if it was not uploaded here."""
        found = self._find(uri)
        return None if found is None else found[1].project

    def _find(self, uri: str) -> tuple[Content, StoredFile] | None:
        return next(
            (
                (content, stored)
                for content, files in self._files.items()
                for stored in files.values()
                if stored.blob.uri == uri
            ),
            None,
        )

    def _drop(self, content: Content, project: str) -> None:
        files = self._files.get(content, {})
        files.pop(project, None)
        if not files:
            self._files.pop(content, None)

    def _announce(self, content: Content, stored: StoredFile) -> None:
        if self._publish is not None:
            assert stored.blob.uri is not None
            state = b"" if stored.is_ready else _PROCESSING
            left_s = stored.expires - self._clock()
            key = _key(content, stored.project)
            self._publish(key, state + stored.blob.uri.encode(), left_s)

    def _store(
        self, content: Content, project: str, uri: str, left_s: float, *, is_ready: bool
    ) -> StoredFile:
        stored = StoredFile(Blob(content[1], uri=uri), project, self._clock() + left_s, is_ready)
        self._files.setdefault(content, {})[project] = stored
        self._files.move_to_end(content)
        if len(self._files) > MAX_FILES:
            self._files.popitem(last=False)
        return stored


def _key(content: Content, project: str) -> str:
    return "|".join((content[0].hex(), content[1], project))
