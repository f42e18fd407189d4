"""Models: list, get, and the actions of one."""

from collections.abc import Awaitable, Callable, Iterator
from itertools import chain

from aiohttp import web

from gateway.simulator import answers, embeddings, strict
from gateway.simulator.answers.usage import count, details
from gateway.simulator.app_keys import CACHES, FILES, MODEL_TABLE
from gateway.simulator.models import Model
from gateway.simulator.received import RECEIVED
from gateway.simulator.refusal import Json, Refusal, unknown_model
from gateway.simulator.sending import send_stream, send_whole

_PAGE, _LARGEST_PAGE = 50, 1000


async def models(request: web.Request) -> web.StreamResponse:
    """Return a page of the list of models."""
    table = list(request.app[MODEL_TABLE].values())
    size, start = request.query.get("pageSize", ""), request.query.get("pageToken", "0")
    if (size and not size.isdigit()) or not start.isdigit():
        raise Refusal("Invalid page size or page token.")
    end = int(start) + min(int(size or _PAGE) or _PAGE, _LARGEST_PAGE)
    page: Json = {"models": [model.card() for model in table[int(start) : end]]}
    if end < len(table):
        page["nextPageToken"] = str(end)
    return await send_whole(request, page)


async def model(request: web.Request) -> web.StreamResponse:
    """Return one model."""
    return await send_whole(request, _served(request).card())


async def act(request: web.Request) -> web.StreamResponse:
    """Carry out the action that the address names after the colon."""
    action = request.match_info["action"]
    if action not in _ACTIONS:
        raise web.HTTPNotFound
    method, do = _ACTIONS[action]
    return await do(request, _served(request, method))


def _served(request: web.Request, method: str = "") -> Model:
    """Return the model that the address names; raise the 404 if it is unknown or lacks *method*."""
    info = request.match_info
    model = request.app[MODEL_TABLE].get(info["model"])
    if model is None or (method and method not in model.methods):
        raise unknown_model(info["model"], info["version"], method or "generateContent")
    return model


def _checked(request: web.Request, model: Model) -> answers.Request:
    received, files = request[RECEIVED], request.app[FILES]
    checked = strict.generate({} if received.body is None else received.body, model)
    if cache := checked.get("cachedContent"):
        _check_cache(cache, request)
    for content in checked["contents"]:
        for part in content["parts"]:
            if "fileData" in part:
                files.check_use(part["fileData"]["fileUri"], received.key)
    return answers.Request(checked, model)


def _check_cache(name: str, request: web.Request) -> None:
    key = request[RECEIVED].key
    if request.app[CACHES].get(name, "") not in {None, key}:
        raise Refusal("CachedContent not found (or permission denied)", status=403)


async def cached_content(request: web.Request) -> web.StreamResponse:
    """Return one cached content."""
    name = f"cachedContents/{request.match_info['name']}"
    _check_cache(name, request)
    return await send_whole(request, {"name": name})


async def _generate(request: web.Request, model: Model) -> web.StreamResponse:
    return await send_whole(request, answers.whole(_checked(request, model)))


async def _stream(request: web.Request, model: Model) -> web.StreamResponse:
    events: Iterator[Json] = answers.stream(_checked(request, model))
    # Everything that can be refused is refused before the head is sent.
    return await send_stream(request, chain([next(events)], events))


async def _count(request: web.Request, model: Model) -> web.StreamResponse:
    body = strict.normalise(request[RECEIVED].body or {}, "CountTokensRequest")
    inner = body.get("generateContentRequest")
    if (inner is None) == (not body.get("contents")):
        raise Refusal("Exactly one of contents and generate_content_request must be set.")
    checked = strict.generate(inner or {"contents": body["contents"]}, model)
    system = checked.get("systemInstruction")
    counts = count([*checked["contents"], *([system] if system else [])])
    answer = {"totalTokens": sum(counts.values()), "promptTokensDetails": details(counts)}
    return await send_whole(request, answer)


async def _embed(request: web.Request, model: Model) -> web.StreamResponse:
    return await send_whole(request, embeddings.embed(request[RECEIVED].body or {}, model))


async def _batch(request: web.Request, model: Model) -> web.StreamResponse:
    return await send_whole(request, embeddings.batch(request[RECEIVED].body or {}, model))


_Action = Callable[[web.Request, Model], Awaitable[web.StreamResponse]]
# Action: the method that a model must support for it, and its handler.
_ACTIONS: dict[str, tuple[str, _Action]] = {
    "generateContent": ("generateContent", _generate),
    "streamGenerateContent": ("generateContent", _stream),
    "countTokens": ("countTokens", _count),
    "embedContent": ("embedContent", _embed),
    "batchEmbedContents": ("embedContent", _batch),
}
