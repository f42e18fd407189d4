"""A shortcut leads where aiohttp's router leads, and only from what is spelled as registered."""

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request

from gateway.server.shortcuts import Shortcuts


async def echo(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.match_info.route.name} {request.path}")


async def other(_: web.Request) -> web.Response:
    return web.Response(text="other")


@web.middleware
async def marked(request, handler):
    response = await handler(request)
    response.headers["X-Marked"] = response.headers.get("X-Marked", "") + "1"
    return response


@web.middleware
async def outer(request, handler):
    response = await handler(request)
    response.headers["X-Marked"] += "2"
    return response


def app() -> web.Application:
    new_app = web.Application(middlewares=[outer, marked])
    new_app.router.add_post("/v1/chat", echo, name="chat")
    new_app.router.add_get("/v1/chat", echo)
    new_app.router.add_get("/between", other)
    # Never reached: the router takes the first of two.
    new_app.router.add_get("/v1/chat", other)
    new_app.router.add_get("/v1/{any:.*}", other)
    new_app.router.add_get("/odd/%7Bname", other)
    new_app.freeze()
    return new_app


async def by_router(application: web.Application, request: web.Request) -> str:
    response = await application._handle(request)
    return f"{response.text} {response.headers['X-Marked']}"


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
async def test_it_leads_where_the_router_leads_through_the_same_middlewares(method):
    application = app()
    request = make_mocked_request(method, "/v1/chat", app=application)
    handler = Shortcuts(application).of(request)
    response = await handler(request)
    assert request.app is application
    assert f"{response.text} {response.headers['X-Marked']}" == await by_router(
        application, make_mocked_request(method, "/v1/chat", app=application)
    )
    assert response.headers["X-Marked"] == "12"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PUT", "/v1/chat"),
        ("GET", "/v1/chat/"),
        ("GET", "/v1/chat?a=b"),
        ("GET", "/v1/ch%61t"),
        ("GET", "//v1/chat"),
        ("GET", "/v1/other"),
        ("GET", "/odd/%7Bname"),
        ("GET", "http://host/v1/chat"),
        ("OPTIONS", "*"),
    ],
)
async def test_all_else_is_left_to_the_router(method, target):
    application = app()
    assert Shortcuts(application).of(make_mocked_request(method, target, app=application)) is None


async def test_who_waits_for_leave_to_send_a_body_is_left_to_the_router():
    application = app()
    headers = {hdrs.EXPECT: "100-continue"}
    request = make_mocked_request("POST", "/v1/chat", headers=headers, app=application)
    assert Shortcuts(application).of(request) is None


async def test_addresses_are_known_by_their_spelling():
    shortcuts = Shortcuts(app())
    assert "/v1/chat" in shortcuts
    assert "/odd/%7Bname" not in shortcuts
    assert "/v1/{any}" not in shortcuts
