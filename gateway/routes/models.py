"""`GET /v1/models` and `/v1/models/{id}`: the models that a license may use.

Two protocols share this address: a key sent as `x-goog-api-key` or `?key=` gets Gemini's shape, any
other OpenAI's.
"""

from aiohttp import web

from gateway.errors import ModelNotFound
from gateway.exchange import Exchange, Json
from gateway.keys import CATALOG, EXCHANGE
from gateway.licenses.scope import covers
from gateway.server.answers import json_response


async def list_models(request: web.Request) -> web.StreamResponse:
    """Answer with all models that the license may use."""
    exchange = request[EXCHANGE]
    if _speaks_gemini(request):
        models = await _allowed_native(request, exchange)
        return json_response({"models": models}, exchange)
    models = [m for m in await request.app[CATALOG].listed() if covers(exchange.license, m["id"])]
    return json_response({"object": "list", "data": models}, exchange)


async def get_model(request: web.Request) -> web.StreamResponse:
    """Answer with one model. Raises `ModelNotFound`."""
    exchange = request[EXCHANGE]
    name = request.match_info["model"].removeprefix("models/")
    if _speaks_gemini(request):
        for model in await _allowed_native(request, exchange):
            if model.get("name") == f"models/{name}":
                return json_response(model, exchange)
    else:
        for model in await request.app[CATALOG].listed():
            if model["id"] == name and covers(exchange.license, name):
                return json_response(model, exchange)
    raise ModelNotFound(f"The model {name[:128]!r} does not exist.", param="model")


async def _allowed_native(request: web.Request, exchange: Exchange) -> list[Json]:
    models = await request.app[CATALOG].native()
    return [m for m in models if covers(exchange.license, str(m["name"]).removeprefix("models/"))]


def _speaks_gemini(request: web.Request) -> bool:
    if request[EXCHANGE].dialect.name == "gemini":
        return True
    return "x-goog-api-key" in request.headers or "key" in request.query
