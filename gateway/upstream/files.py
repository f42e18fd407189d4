"""Gemini's Files API, and the ownership of files, under the gateway's credentials."""

import asyncio
import re
from collections.abc import Collection
from functools import partial
from itertools import chain, repeat

from gateway.errors import GatewayError, NotFound, UpstreamTimeout
from gateway.protocols import UploadedFile, Window
from gateway.upstream.api_client import ApiClient, Refused
from gateway.upstream.client import GeminiUpstream
from gateway.upstream.credential import Credential
from gateway.upstream.faults import Failed, Fault, Kind
from gateway.upstream.processing import look
from gateway.upstream.retrying import Retrying
from gateway.upstream.uploads import Upload, without_address

# Used in place of a model's name, in error messages too. That uploads fail, or use up a quota, says
# nothing about looking up what is there already.
FILES = "the Files API"
LOOK_UPS = "look-ups of files"
_SILENCE_S = 60.0
_LOOK_UP_S = 10.0
_RETRY_AFTER_S = 10.0
# The pauses between looks at a file that Gemini processes; the last one is repeated.
_POLL_S = (0.2, 0.4, 0.8, 1.5, 2.0)
# The end of a file's address, or the name of cached content: what can be looked up.
_RESOURCE = re.compile(r"(?:.*/v1(?:beta)?/)?((?:files|cachedContents)/[A-Za-z0-9_-]{1,64})")


class FilesApi:
    """The Files API of *upstream*.

    An upload may take *timeout_s*, all its attempts together, and so may waiting for a file that
    Gemini processes.
    """

    def __init__(self, upstream: GeminiUpstream, timeout_s: float) -> None:
        self._upstream = upstream
        self._timeout_s = timeout_s

    def owner(self, name: str) -> str | None:
        """Return the project that is known to have *name*, None if there is none (any more).

        If all credentials are of one project, it is that one.
        """
        projects = self._projects()
        if len(projects) == 1:
            return projects[0]
        project = self._upstream.owners.of(name)
        return project if project in projects else None

    async def find(self, name: str) -> str | None:
        """Ask upstream which project has the file or the cached content *name*.

        None if *name* cannot be looked up. Raises `NotFound` when no project has it, and
        `GatewayError`.
        """
        owner = self.owner(name)
        if owner is not None:
            return owner
        match = _RESOURCE.fullmatch(name)
        if match is None:
            return None
        upstream = self._upstream
        url, api = upstream.url(match[1]), self._client(_LOOK_UP_S)

        async def look_up(credential: Credential) -> str:
            try:
                await api.request("GET", url, {"x-goog-api-key": credential.key})
            except Refused as refused:
                raise _look_up_failed(refused) from None
            return credential.scope

        deadline = upstream.loop.time() + upstream.settings.deadline_s
        project = await Retrying(upstream, LOOK_UPS, deadline).run(look_up)
        upstream.owners.note(name, project)
        return project

    def choose(self, projects: Collection[str], model: str) -> str | None:
        """Return the one of *projects* where files for *model* are usable now.

        None if those of another project would be more useful.
        """
        pool = self._upstream.pool
        members = [one for one in pool.credentials if one.scope in projects]
        serving = [one for one in members if pool.serves(one, model)]
        if not serving and any(pool.serves(one, model) for one in pool.credentials):
            return None
        return next((one.scope for one in serving or members), None)

    async def upload(
        self, window: Window, mime: str, *, model: str, project: str | None
    ) -> UploadedFile:
        """Upload the bytes of *window* to *project*, or to one whose keys can serve *model* now.

        Gemini may have to process the file before it is ready. Raises `GatewayError`.
        """
        upstream, pool = self._upstream, self._upstream.pool
        deadline = upstream.loop.time() + self._timeout_s
        cooling_down = {one.name for one in pool.credentials if not pool.serves(one, model)}
        retrying = Retrying(upstream, FILES, deadline, project=project, shunned=cooling_down)
        upload = Upload(self._client(_SILENCE_S), upstream.settings.base_url, window, mime)

        async def proceed(credential: Credential) -> UploadedFile:
            uri, is_ready = await upload.proceed(credential)
            return UploadedFile(uri, credential.scope, is_ready)

        try:
            async with asyncio.timeout_at(deadline):
                return await retrying.run(proceed)
        except TimeoutError:
            raise UpstreamTimeout("Gemini's Files API took too long.") from None

    async def wait_until_ready(self, uri: str, project: str) -> None:
        """Wait until Gemini has processed the file at *uri* of *project*.

        Raises `InvalidMedia` if it cannot, `NotFound` naming the file if it is gone,
        `UpstreamTimeout` if it takes too long, and other `GatewayError`.
        """
        name = _RESOURCE.fullmatch(uri)
        if name is None:
            # It cannot be looked up: Gemini itself decides whether the file may be used.
            return
        upstream = self._upstream
        deadline = upstream.loop.time() + self._timeout_s
        work = partial(look, self._client(_LOOK_UP_S), upstream.url(name[1]))
        try:
            async with asyncio.timeout_at(deadline):
                for pause_s in chain(_POLL_S, repeat(_POLL_S[-1])):
                    # Each look is retried by itself: there are many of them.
                    if await Retrying(upstream, LOOK_UPS, deadline, project=project).run(work):
                        return
                    await asyncio.sleep(pause_s)
        except TimeoutError:
            raise UpstreamTimeout(
                "Gemini is still processing this file; try again.", retry_after=_RETRY_AFTER_S
            ) from None

    def _projects(self) -> list[str]:
        return list({one.scope for one in self._upstream.pool.credentials})

    def _client(self, silence_s: float) -> ApiClient:
        upstream = self._upstream
        return ApiClient(
            upstream.session,
            without_address(upstream.pool.redact),
            connect_s=upstream.settings.connect_timeout_s,
            silence_s=silence_s,
        )


def _look_up_failed(refused: Refused) -> Failed:
    """Return the fault of a look-up: what one project lacks another one may have."""
    if refused.status not in {403, 404} or refused.fault.kind is Kind.KEY_DEAD:
        return refused
    error: GatewayError = NotFound(refused.fault.error.message)
    return Failed(Fault(Kind.NOT_HERE, error))
