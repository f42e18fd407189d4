"""What the handler and the middlewares find in the app: protocols of what `app.py` puts there."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.exchange import Batches, Json, License, Notes, Outcome, UpstreamCall
from gateway.media.containers import Window


class Upstream(Protocol):
    """Where calls go. `gateway.upstream.client.GeminiUpstream` is the one that ships."""

    def open(
        self, call: UpstreamCall, outcome: Outcome, notes: Notes
    ) -> AbstractAsyncContextManager[Batches]:
        """Send *call*; entered once the first event is here, gives one batch of events per read.

        Raises `GatewayError`, before as after the first event.
        """

    async def models(self) -> list[Json]:
        """Give upstream's whole model list in Gemini's form. Raises `GatewayError`."""

    def usable(self) -> int:
        """Count the credentials that are not out."""

    async def start(self) -> None:
        """Make ready for calls."""

    async def close(self) -> None:
        """Let go of every connection."""


class Names(Protocol):
    """Model names that lead elsewhere."""

    def resolve(self, model: str) -> str:
        """Give the name to ask for instead of *model*, mostly *model* itself."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that can be used: its address, and the project that alone may use it."""

    uri: str
    project: str


class FilesUpstream(Protocol):
    """Where large media go. A project is named as the gateway's credentials know it."""

    @property
    def base_url(self) -> str:
        """Give the address of the upstream, without a path."""

    def owner(self, name: str) -> str | None:
        """Give the project that has the file or cached content *name*, None if it is not known."""

    async def find(self, name: str) -> str | None:
        """Give the project that has *name*, asking for it; None if it cannot be asked for.

        Raises `NotFound` when no project has it, and `GatewayError`.
        """

    def choose(self, projects: Collection[str], model: str) -> str | None:
        """Give the one of *projects* that can serve *model*, None if only others can."""

    async def upload(
        self, window: Window, mime: str, *, model: str, project: str | None
    ) -> UploadedFile:
        """Upload to *project*, or where *model* can be served. Raises `GatewayError`."""


class LicenseBook(Protocol):
    """All licenses in memory; looking one up never waits."""

    def find(self, key: str) -> License | None:
        """Give the license whose secret is *key*, disabled and expired ones too.

        Raises `Unavailable` for one that cannot be judged now.
        """


class Memories(Protocol):
    """Thought signatures and the like, kept for the next turn of a conversation."""

    def may_know(self, scope: str) -> bool:
        """Say whether anything may be known in *scope* (a license id): else asking is no use."""

    async def recall(self, scope: str, keys: list[str]) -> dict[str, bytes]:
        """Give those of *keys* that are known in *scope*."""

    def remember(self, scope: str, entries: list[tuple[str, bytes]]) -> None:
        """Keep *entries*; never waits."""


class Refusals(Protocol):
    """Features that models were seen to refuse, each remembered for a while."""

    def of(self, model: str) -> frozenset[str]:
        """Give the names of the features that *model* refuses."""

    def learn(self, model: str, feature: str) -> None:
        """Remember that *model* refuses *feature*."""
