"""Gemini's own API at `/v1beta/models`, behind the same chain; newer Google SDKs use `/v1`."""

from aiohttp import web

from gateway import relay
from gateway.dialects import GEMINI
from gateway.errors import BadRequest
from gateway.keys import EXCHANGE
from gateway.routes import models
from gateway.server.connection_server import defer_continue

_MODEL = (
    "models/{model:[^/:]+}:"
    "{action:generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents}"
)


def routes() -> list[web.RouteDef]:
    """Return the routes, named after their dialect; `/v1/models` itself serves both protocols."""
    return [
        *(
            web.post(
                f"/{version}/{_MODEL}",
                generate,
                name=f"{GEMINI.name}.{version}",
                expect_handler=defer_continue,
            )
            for version in ("v1beta", "v1")
        ),
        web.get("/v1beta/models", models.list_models, name=f"{GEMINI.name}.models"),
        web.get("/v1beta/models/{model:[^/:]+}", models.get_model, name=f"{GEMINI.name}.model"),
    ]


async def generate(request: web.Request) -> web.StreamResponse:
    """Relay one native exchange. Raises `BadRequest` for an unsupported form of stream."""
    if request[EXCHANGE].call.stream and request.query.get("alt") != "sse":
        raise BadRequest("Streams are sent as events only; ask with alt=sse.", param="alt")
    return await relay.generate(request)
