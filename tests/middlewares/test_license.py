"""LicenseAuth before everything else: who gets in, who does not, and what they are told."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from multidict import CIMultiDict

from gateway.dialects import DIALECTS
from gateway.errors import GatewayError
from gateway.exchange import Exchange, License
from gateway.keys import EXCHANGE, LICENSES, SETTINGS
from gateway.licenses.book import Book
from gateway.licenses.digest import digest
from gateway.plugins import load
from gateway.settings import Settings
from middlewares.license import WrongTries

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
LICENSES_BY_KEY = {
    "good": License("alice"),
    "off": License("off", disabled=True),
    "old": License("old", expires=YESTERDAY),
    "here": License("here", networks=("127.0.0.0/8",)),
    "there": License("there", networks=("192.0.2.0/24", "2001:db8::/32")),
    "narrow": License("narrow", models=("gemini-2.5-*",)),
    "许可证": License("chinese"),
}


@web.middleware
async def small_edge(request, handler):
    """Open the exchange as the edge does and show an error's code."""
    exchange = Exchange(id="x", dialect=DIALECTS["openai_chat"], started=0.0)
    exchange.carries_payload = request.method == "POST"
    request[EXCHANGE] = exchange
    if exchange.carries_payload:
        exchange.payload = {"model": request.headers.get("model", "gemini-2.5-flash")}
    try:
        return await handler(request)
    except GatewayError as error:
        return web.json_response(
            {"code": error.code, "param": error.param, "wait": error.retry_after},
            status=error.status,
        )


async def who(request):
    return web.json_response({"id": request[EXCHANGE].license.id})


@pytest.fixture
async def client(aiohttp_client):
    chain = load(({"use": "middlewares.license:LicenseAuth"},))
    app = web.Application(middlewares=[small_edge])
    book = Book()
    book.replace_fixed({digest(key): one for key, one in LICENSES_BY_KEY.items()})
    app[LICENSES] = book
    app[SETTINGS] = Settings()
    app.cleanup_ctx.extend(chain.lifespans)
    for path in ("/v1/chat/completions", "/v1/models", "/v1beta/models/m:generateContent"):
        app.router.add_route("*", path, chain.wrap(who))
    return await aiohttp_client(app)


async def ask(client, *headers, path="/v1/chat/completions", method="POST", body=None):
    response = await client.request(method, path, headers=CIMultiDict(headers), data=body)
    return response.status, await response.json()


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", "good"),
        ("Authorization", "Bearer good"),
        ("Authorization", "bEARER   good  "),
        ("x-api-key", "good"),
        ("api-key", "good"),
        ("x-goog-api-key", "good"),
    ],
)
async def test_every_form_of_a_license_is_the_same_license(client, header):
    assert await ask(client, header) == (200, {"id": "alice"})


async def test_the_same_license_in_two_forms_is_fine(client):
    both = ("Authorization", "Bearer good"), ("x-api-key", "good")
    assert await ask(client, *both) == (200, {"id": "alice"})


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "good"), ("Authorization", "good")],
        [("Authorization", "good"), ("Authorization", "bad")],
        [("Authorization", "good"), ("x-api-key", "bad")],
        [("x-api-key", "bad"), ("x-api-key", "good")],
    ],
)
async def test_two_keys_or_a_double_header_are_refused(client, headers):
    status, body = await ask(client, *headers)
    assert (status, body["param"]) == (400, "authorization")


@pytest.mark.parametrize(
    "headers",
    [
        [("x-api-key", "good"), ("Authorization", "")],
        [("x-api-key", "good"), ("Authorization", "Bearer ")],
        [("Authorization", "good"), ("x-api-key", "")],
        [("x-api-key", "Bearer good")],
    ],
)
async def test_an_empty_header_is_no_second_key_and_a_scheme_is_no_part_of_one(client, headers):
    assert (await ask(client, *headers))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "wrong")],
        [("Authorization", "x" * 7000)],
        [("Authorization", "不存在")],
        [("Cookie", "Authorization=good")],
    ],
)
async def test_no_license_or_a_wrong_one_is_a_401(client, headers):
    status, body = await ask(client, *headers)
    assert (status, body["code"]) == (401, "invalid_api_key")


async def test_the_refusal_comes_before_the_body(client):
    async def endless():
        yield b"x"
        raise AssertionError("nobody asked for more")

    status, _ = await ask(
        client, ("Authorization", "wrong"), ("Expect", "100-continue"), body=endless()
    )
    assert status == 401


async def test_a_chinese_license_arrives_intact(client):
    assert await ask(client, ("Authorization", "许可证")) == (200, {"id": "chinese"})


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("off", 403, "license_disabled"),
        ("old", 401, "license_expired"),
        ("there", 403, "address_not_allowed"),
    ],
)
async def test_a_license_that_may_not_be_used_says_why(client, key, status, code):
    seen, body = await ask(client, ("Authorization", key))
    assert (seen, body["code"]) == (status, code)


async def test_a_license_bound_to_networks_works_from_there(client):
    assert (await ask(client, ("Authorization", "here")))[0] == 200
    forwarded = ("X-Forwarded-For", "2001:db8::7")
    assert (await ask(client, ("Authorization", "there"), forwarded))[0] == 200
    assert (await ask(client, ("Authorization", "here"), forwarded))[0] == 403


async def test_what_a_client_writes_into_a_field_of_its_own_is_not_believed(client):
    """HAProxy and others add a second field; together they are one list, read from its end."""
    made_up = ("X-Forwarded-For", "192.0.2.7")
    added = ("X-Forwarded-For", "198.51.100.9")
    status, body = await ask(client, ("Authorization", "there"), made_up, added)
    assert (status, body["code"]) == (403, "address_not_allowed")
    assert (await ask(client, ("Authorization", "there"), added, made_up))[0] == 200
    tries = [
        (await ask(client, ("Authorization", "bad"), ("X-Forwarded-For", f"10.0.0.{n}"), added))[0]
        for n in range(21)
    ]
    assert tries[-2:] == [401, 429]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1beta/models/m:generateContent?key=good", "POST", 200),
        ("/v1/models?key=good", "GET", 200),
        ("/v1/chat/completions?key=good", "POST", 401),
    ],
)
async def test_a_key_in_the_query_counts_on_native_routes_only(client, path, method, status):
    assert (await ask(client, path=path, method=method))[0] == status


async def test_a_query_without_a_key_needs_the_header(client):
    path = "/v1beta/models/m:generateContent?alt=sse"
    assert (await ask(client, path=path))[0] == 401
    assert (await ask(client, ("x-goog-api-key", "good"), path=path))[0] == 200


async def test_too_many_wrong_keys_from_one_address_have_to_wait_but_good_ones_pass(client):
    statuses = [(await ask(client, ("Authorization", f"bad{n}")))[0] for n in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    assert (await ask(client, ("Authorization", "good")))[0] == 200
    elsewhere = ("X-Forwarded-For", "198.51.100.7")
    assert (await ask(client, ("Authorization", "bad"), elsewhere))[0] == 401


async def test_wrong_keys_are_counted_by_network_where_a_client_has_many_addresses(client):
    def forwarded(number):
        return "X-Forwarded-For", f"2001:db8:1:2:{number:x}::1"

    bad = ("Authorization", "bad")
    statuses = [(await ask(client, bad, forwarded(number)))[0] for number in range(22)]
    assert statuses == [401] * 20 + [429] * 2


def test_wrong_tries_pass_after_a_minute():
    tries = WrongTries(most=2)
    assert [tries.count("a", now) for now in (0.0, 1.0, 2.0)] == [0, 0, 58]
    assert tries.count("a", 60.0) == 0


def test_wrong_tries_remember_a_bounded_number_of_addresses():
    tries = WrongTries(most=1)
    for number in range(20_000):
        tries.count(str(number), 0.0)
    assert len(tries._by_address) == WrongTries.MOST_ADDRESSES


@pytest.mark.parametrize(
    ("model", "status"), [("gemini-2.5-pro", 200), ("gemini-3-pro-preview", 403)]
)
async def test_a_license_covers_the_models_its_globs_name(aiohttp_client, model, status):
    chain = load(
        (
            {"use": "middlewares.license:LicenseAuth"},
            {"use": "tests.middlewares.test_license:GivesPayload"},
            {"use": "middlewares.license:LicenseScope"},
        )
    )
    app = web.Application(middlewares=[small_edge])
    app[LICENSES] = book = Book()
    book.replace_fixed({digest("narrow"): LICENSES_BY_KEY["narrow"]})
    app[SETTINGS] = Settings()
    app.cleanup_ctx.extend(chain.lifespans)
    app.router.add_post("/", chain.wrap(who))
    client = await aiohttp_client(app)
    response = await client.post("/", headers={"Authorization": "narrow", "model": model})
    assert response.status == status
    if status != 200:
        assert (await response.json())["param"] == "model"


class GivesPayload:
    """Stands where Payload stands."""

    provides = ("payload",)

    async def __call__(self, request, handler):
        return await handler(request)
