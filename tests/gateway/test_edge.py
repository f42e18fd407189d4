"""The outermost layer: every error in OpenAI's form, with the headers that steer clients."""

import asyncio

import msgspec
import pytest
import structlog
from aiohttp import web

from gateway.edge import retry_headers
from gateway.errors import (
    BadRequest,
    QuotaSpent,
    RateLimited,
    Unauthorized,
    Unavailable,
    UpstreamAuth,
    UpstreamError,
)
from tests.faults.scripted import LAST, ScriptedUpstream, answer
from tests.running import LICENSE, settings_for


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (RateLimited("x", retry_after=0.3), {"retry-after": "1", "retry-after-ms": "300"}),
        (RateLimited("x", retry_after=60), {"retry-after": "60", "retry-after-ms": "60000"}),
        (RateLimited("x", retry_after=61), {"x-should-retry": "false"}),
        (RateLimited("x"), {"x-should-retry": "false"}),
        (QuotaSpent("x", retry_after=5), {"x-should-retry": "false"}),
        (Unauthorized("x"), {"x-should-retry": "false"}),
        (UpstreamAuth("x"), {"x-should-retry": "false"}),
        (UpstreamAuth("x", retry_after=5), {"retry-after": "5", "retry-after-ms": "5000"}),
        (Unavailable("x", retry_after=0.25), {"retry-after": "1", "retry-after-ms": "250"}),
        (UpstreamError("x"), {}),
        (BadRequest("x"), {}),
    ],
)
def test_waits_are_told_only_if_they_are_short(error, headers):
    assert retry_headers(error) == headers


@pytest.fixture
async def gateway(running):
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as one,
    ):
        one.upstream = upstream
        yield one


async def ask(gateway, method, path, **more):
    headers = {"Authorization": LICENSE} | more.pop("headers", {})
    root = gateway.url.removesuffix("/gemini")
    async with gateway.session.request(method, root + path, headers=headers, **more) as response:
        body = await response.json() if method != "HEAD" else None
        return response, body


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/gemini/v1/nowhere", 404, "not_found"),
        ("POST", "/gemini/v1/responses", 404, "not_found"),
        ("POST", "/gemini/v1/models", 405, "method_not_allowed"),
        ("GET", "/gemini/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/gemini/v1/models", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
async def test_unknown_addresses_and_methods_are_json_errors(gateway, method, path, status, code):
    response, body = await ask(gateway, method, path)
    assert response.status == status
    assert body["error"]["code"] == code
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert "x-request-id" in response.headers
    assert "WWW-Authenticate" not in response.headers
    assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/v1/models", "/gemini/chat/completions", "/gemini/v1/responses"])
async def test_a_wrong_base_url_or_api_is_told_the_right_one(gateway, path):
    """The AI SDK and OpenAI's agents ask for responses unless chat completions are chosen."""
    _, body = await ask(gateway, "POST", path)
    message = (
        f"There is nothing at {path!r}. Chat completions are at '/gemini/v1/chat/completions'."
    )
    assert body["error"]["message"] == message


async def test_an_unknown_address_is_told_to_a_native_client_in_its_form(gateway):
    _, body = await ask(gateway, "GET", "/nowhere", headers={"x-goog-api-key": "k"})
    assert (body["error"]["code"], body["error"]["status"]) == (404, "NOT_FOUND")


async def test_a_harmless_request_id_is_kept_and_another_one_replaced(gateway):
    for sent_id, is_kept in (("abc-1.2_3", True), ("a b", False), ("x" * 129, False)):
        response, _ = await ask(gateway, "GET", "/nowhere", headers={"X-Request-Id": sent_id})
        assert (response.headers["x-request-id"] == sent_id) == is_kept


async def test_a_refused_license_says_how_to_authenticate(gateway):
    response, body = await ask(
        gateway, "POST", "/gemini/v1/chat/completions", headers={"Authorization": "no"}, json={}
    )
    assert (response.status, body["error"]["code"]) == (401, "invalid_api_key")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_an_unexpected_error_is_a_plain_500_and_tells_nothing(gateway, monkeypatch, capfd):
    async def broken(*_):
        raise RuntimeError("internal detail")

    monkeypatch.setattr("gateway.relay.whole", broken)
    status, body, _ = await gateway.whole()
    assert (status, body["error"]["code"]) == (500, "internal_error")
    assert "internal detail" not in str(body)


async def test_strict_mode_refuses_what_would_be_dropped(gateway):
    payload = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
    for strict, status in (("false", 200), ("true", 400)):
        response, body = await ask(
            gateway,
            "POST",
            "/gemini/v1/chat/completions",
            json=payload | {"no_such_field": 1},
            headers={"x-gateway-strict": strict},
        )
        assert response.status == status
    assert body["error"]["param"] == "no_such_field"


async def test_readiness_needs_a_usable_credential(gateway):
    root = gateway.url.removesuffix("/gemini")
    async with gateway.session.get(f"{root}/readyz") as response:
        assert response.status == 200
    async with gateway.session.get(f"{root}/healthz") as response:
        assert response.status == 200
    await asyncio.sleep(0)


GIVEN = {"x-request-id", "openai-processing-ms", "x-gateway-version"}


@web.middleware
async def others(request, handler):
    """Do what a header asks, as middlewares of others may."""
    match request.headers.get("x-do"):
        case "answer":
            return web.json_response({"by": "another"})
        case "nothing":
            await handler(request)
            return None
        case "forbid":
            raise web.HTTPForbidden(reason="Not on Sundays.")
        case "later":
            raise web.HTTPTooManyRequests(text="Later.", headers={"Retry-After": "7"})
        case "redirect":
            raise web.HTTPFound("/elsewhere")
        case "refuse":
            return web.Response(status=403, text="no")
        case _:
            return await handler(request)


@pytest.fixture
async def beside_others(running):
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        settings = settings_for(upstream.url)
        chain = ({"use": "tests.gateway.test_edge:others"}, *settings.middlewares)
        async with running(msgspec.structs.replace(settings, middlewares=chain)) as one:
            yield one


@pytest.mark.parametrize(
    ("method", "path", "does", "status"),
    [
        ("POST", "/gemini/v1/chat/completions", "answer", 200),
        ("POST", "/gemini/v1/chat/completions", "nothing", 500),
        ("POST", "/gemini/v1/chat/completions", "redirect", 500),
        ("POST", "/gemini/v1/chat/completions", "forbid", 403),
        ("POST", "/gemini/v1/chat/completions", "refuse", 403),
        ("OPTIONS", "/gemini/v1/chat/completions", "", 204),
        ("GET", "/healthz", "", 200),
        ("GET", "/readyz", "", 200),
        ("HEAD", "/healthz", "", 200),
    ],
)
async def test_every_answer_carries_the_headers_of_all(beside_others, method, path, does, status):
    headers = {"x-do": does, "x-request-id": "abc"}
    root = beside_others.url.removesuffix("/gemini")
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
    async with beside_others.session.request(
        method, root + path, headers={"Authorization": LICENSE} | headers, json=body
    ) as response:
        assert response.status == status
        assert {name.lower() for name in response.headers} >= GIVEN
        assert response.headers["x-request-id"] == "abc"
        assert len(response.headers.getall("x-request-id")) == 1


@pytest.mark.parametrize(
    ("path", "status", "allowed"),
    [
        ("/gemini/v1/chat/completions", 204, "OPTIONS, POST"),
        ("/gemini/v1/models", 204, "GET, HEAD, OPTIONS"),
        ("/gemini/v1/nothing", 404, None),
    ],
)
async def test_a_chain_without_cors_answers_options_before_the_license(
    running, path, status, allowed
):
    settings = settings_for("http://127.0.0.1:9")
    chain = tuple(one for one in settings.middlewares if one["use"] != "middlewares.cors:Cors")
    async with running(msgspec.structs.replace(settings, middlewares=chain)) as gateway:
        root = gateway.url.removesuffix("/gemini")
        async with gateway.session.options(f"{root}{path}") as answer:
            assert (answer.status, answer.headers.get("Allow")) == (status, allowed)
            assert answer.headers["x-request-id"]


async def test_a_middleware_that_gives_nothing_is_named_in_the_log(beside_others):
    with structlog.testing.capture_logs() as lines:
        _, body = await ask(
            beside_others,
            "POST",
            "/gemini/v1/chat/completions",
            headers={"x-do": "nothing"},
            json={"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]},
        )
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == "internal_error"
    (line,) = [line for line in lines if line["event"] == "unexpected_error"]
    assert "return await handler(request)" in line["reason"]


async def test_a_refusal_of_anothers_keeps_its_status_and_takes_the_clients_form(beside_others):
    path = "/gemini/v1/chat/completions"
    _, body = await ask(beside_others, "POST", path, headers={"x-do": "forbid"}, json={})
    assert body["error"]["message"] == "Not on Sundays."
    assert body["error"]["code"] == "permission_denied"
    response, body = await ask(beside_others, "POST", path, headers={"x-do": "later"}, json={})
    assert body["error"]["message"] == "Later."
    assert (response.status, response.headers["retry-after"]) == (429, "7")
