"""The model list: upstream's own, cached, and the last good one while upstream is down.

Added to it: the `-thinking` names, aliases, and the names that Google has shut down and that a
replacement answers for, each with its `shutdown_date`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime

from gateway.errors import GatewayError
from gateway.exchange import Json
from gateway.settings import Models

# How long not to ask again after the list could not be read.
RETRY_S = 15.0


class Catalog:
    """The models that can be asked for. *fetch* returns upstream's list, *clock* monotonic time."""

    def __init__(
        self,
        settings: Models,
        fetch: Callable[[], Awaitable[list[Json]]],
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._fetch = fetch
        self._clock = clock
        self._models: list[Json] | None = None
        self._fresh_until = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def native(self) -> list[Json]:
        """Return the models in Gemini's form, upstream's own names only.

        Raises the upstream's `GatewayError` only if there never was a list.
        """
        if self._models is not None and self._clock() < self._fresh_until:
            return self._models
        # One request for all callers that wait; shielded, so that none of them cancels it by
        # leaving.
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._refresh())
            self._fetching.add_done_callback(_note_error)
        if self._models is None:
            await asyncio.shield(self._fetching)
        return self._models or []

    async def listed(self) -> list[Json]:
        """Return all names that can be asked for, in OpenAI's form."""
        models = [_openai(model) for model in await self.native()]
        by_name = {model["id"]: model for model in models}
        for name, model in tuple(by_name.items()):
            if model.get("thinking"):
                by_name[f"{name}-thinking"] = {**model, "id": f"{name}-thinking"}
        for alias, target in self.settings.aliases.items():
            by_name.setdefault(alias, {**by_name.get(target, _bare(target)), "id": alias})
        for name, new in self.settings.replacements.items():
            model = {**by_name.get(new.model, _bare(name)), "id": name, "replaced_by": new.model}
            if new.since is not None:
                model["shutdown_date"] = new.since.isoformat()
            by_name.setdefault(name, model)
        return list(by_name.values())

    def replacement(self, name: str) -> str | None:
        """Return the model that answers for *name* once upstream no longer knows it."""
        replacement = self.settings.replacements.get(name)
        return None if replacement is None else replacement.model

    async def close(self) -> None:
        """Cancel a request under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _refresh(self) -> None:
        try:
            self._models = await self._fetch()
            self._fresh_until = self._clock() + self.settings.list_ttl_s
        except GatewayError:
            self._fresh_until = self._clock() + RETRY_S
            if self._models is None:
                raise


def _note_error(fetching: asyncio.Task[None]) -> None:
    """Have its error count as noticed: all who waited for it may have left."""
    if not fetching.cancelled():
        fetching.exception()


def _openai(model: Json) -> Json:
    """Return Gemini's *model* in OpenAI's form, with extra fields that chat programs use."""
    listed = _bare(str(model.get("name", "")).removeprefix("models/"))
    for gemini_name, name in _OPENAI_NAMES.items():
        if gemini_name in model:
            listed[name] = model[gemini_name]
    return listed


_OPENAI_NAMES = {
    "displayName": "display_name",
    "inputTokenLimit": "context_length",
    "outputTokenLimit": "max_output_tokens",
    "supportedGenerationMethods": "supported_methods",
    "thinking": "thinking",
}

# Gemini names no creation date, and OpenAI's form demands one; a changing one would look new.
_CREATED = int(datetime.combine(date(2025, 1, 1), datetime.min.time(), UTC).timestamp())


def _bare(name: str) -> Json:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "google"}
