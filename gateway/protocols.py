"""Protocols of the services that the handler and the middlewares find in the app."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.exchange import Batches, Json, License, Notes, Outcome, UpstreamCall


class Window(Protocol):
    """Random access to the bytes of one media item."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class Upstream(Protocol):
    """Where calls are sent. `gateway.upstream.client.GeminiUpstream` is the implementation."""

    def open(
        self, call: UpstreamCall, outcome: Outcome, notes: Notes
    ) -> AbstractAsyncContextManager[Batches]:
        """Send *call*; entered at its first event, the context gives one batch of events per read.

        Raises `GatewayError`, before as after the first event.
        """

    async def models(self) -> list[Json]:
        """Return upstream's whole model list in Gemini's form. Raises `GatewayError`."""

    def usable(self) -> int:
        """Count the credentials that are in use, not disabled."""

    async def start(self) -> None:
        """Prepare for calls."""

    async def close(self) -> None:
        """Close all connections."""


class Names(Protocol):
    """Model names that are redirected."""

    def resolve(self, model: str) -> str:
        """Return the name to ask for instead of *model*, mostly *model* itself."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file: its address, and the only project that may use it.

    Gemini still processes it unless *is_ready*.
    """

    uri: str
    project: str
    is_ready: bool


class FilesUpstream(Protocol):
    """Where large media are stored. Projects are named by the `scope` of credentials."""

    def owner(self, name: str) -> str | None:
        """Return the project that has the file or cached content *name*, None if unknown."""

    async def find(self, name: str) -> str | None:
        """Return the project that has *name*, asking upstream; None if *name* cannot be looked up.

        Raises `NotFound` when no project has it, and `GatewayError`.
        """

    def choose(self, projects: Collection[str], model: str) -> str | None:
        """Return the one of *projects* that can serve *model*, None if only others can."""

    async def upload(
        self, window: Window, mime: str, *, model: str, project: str | None
    ) -> UploadedFile:
        """Upload to *project*, or to one that can serve *model*. Raises `GatewayError`."""

    async def wait_until_ready(self, uri: str, project: str) -> None:
        """Wait until the file at *uri* of *project* may be used.

        Raises `InvalidMedia` if it cannot be processed, `NotFound` if it is gone, and
        `GatewayError`.
        """


class LicenseBook(Protocol):
    """All licenses, in memory: a look-up never waits."""

    def find(self, key: str) -> License | None:
        """Return the license whose secret is *key*, even if disabled or expired.

        Raises `Unavailable` while its state is unknown.
        """


class Memories(Protocol):
    """Thought signatures and the like, kept for the next turn of a conversation."""

    def may_know(self, scope: str) -> bool:
        """Tell whether anything may be stored for *scope* (a license id); if not, skip `recall`."""

    async def recall(self, scope: str, keys: list[str]) -> dict[str, bytes]:
        """Return those of *keys* that are known in *scope*."""

    def remember(self, scope: str, entries: list[tuple[str, bytes]]) -> None:
        """Keep *entries*; never waits."""


class Refusals(Protocol):
    """Features that models were seen to refuse, each remembered for a while."""

    def of(self, model: str) -> frozenset[str]:
        """Return the names of the features that *model* refuses."""

    def learn(self, model: str, feature: str) -> None:
        """Remember that *model* refuses *feature*."""
