import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.keys import EXCHANGE, SETTINGS
from gateway.settings import Cors as CorsSettings
from gateway.settings import Settings
from middlewares.cors import Cors

PAGE = "https://page.example"


class FakeExchange:
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}


@pytest.fixture
async def ask():
    """Ask an app behind the middleware that refuses everything without a license."""
    clients = []

    async def ask(origins, method="GET", **headers):
        cors = Cors()

        @web.middleware
        async def edge(request, handler):
            request[EXCHANGE] = exchange = FakeExchange()
            try:
                response = await handler(request)
            except web.HTTPUnauthorized as error:
                response = error
            response.headers.update(exchange.headers)
            return web.Response(status=response.status, headers=response.headers)

        @web.middleware
        async def run(request, handler):
            return await cors(request, handler)

        async def refuse(request):
            raise web.HTTPUnauthorized

        app = web.Application(middlewares=[edge, run])
        app[SETTINGS] = Settings(cors=CorsSettings(origins=origins))
        app.cleanup_ctx.append(cors.lifespan)
        app.router.add_get("/", refuse)
        client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        async with client.request(method, "/", headers=headers) as response:
            return response.status, response.headers

    yield ask
    for client in clients:
        await client.close()


ASKED = {"Origin": PAGE, "Access-Control-Request-Headers": "authorization, x-stainless-os, x-new"}


@pytest.mark.parametrize("origins", [(PAGE,), ("*",), ("https://other.example", PAGE)])
async def test_what_a_page_asks_to_send_is_reflected_before_any_license(ask, origins):
    status, headers = await ask(origins, "OPTIONS", **ASKED)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Access-Control-Allow-Headers"] == ASKED["Access-Control-Request-Headers"]
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert headers["Access-Control-Max-Age"] == "86400"
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize("origins", [(), ("https://other.example",)])
async def test_other_origins_get_no_permission_but_an_answer(ask, origins):
    status, headers = await ask(origins, "OPTIONS", **ASKED)
    assert (status, "POST" in headers["Allow"]) == (204, True)
    assert not [name for name in headers if name.startswith("Access-Control")]


async def test_allowed_pages_can_read_answers_errors_too(ask):
    status, headers = await ask((PAGE,), Origin=PAGE)
    assert status == 401
    assert headers["Access-Control-Allow-Origin"] == PAGE
    exposed = headers["Access-Control-Expose-Headers"].split(", ")
    assert {"x-request-id", "retry-after", "retry-after-ms"} <= set(exposed)
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}])
async def test_who_is_not_allowed_is_not_told_anything(ask, headers):
    _, answered = await ask((PAGE,), **headers)
    assert not [name for name in answered if name.startswith("Access-Control")]
