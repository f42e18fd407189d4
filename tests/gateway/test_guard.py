"""Middlewares of others that do what they must not, in a running gateway."""

import asyncio
import sys

import msgspec
import pytest
import structlog
from aiohttp import web

from gateway import guard
from gateway.errors import Forbidden
from gateway.guard import MiddlewareFault
from gateway.keys import EXCHANGE, LEDGER
from tests.faults.scripted import LAST, ScriptedUpstream, answer
from tests.running import LICENSE, settings_for

OTHERS = {}


class Wrong:
    """Does what the header `x-do` names."""

    requires = ("license",)

    def __call__(self, request, handler):
        return OTHERS[request.headers["x-do"]](request, handler)


def does(middleware):
    OTHERS[middleware.__name__] = middleware
    return middleware


@does
async def raise_deep(request, handler):
    def sink(depth):
        return 1 / depth if depth == 0 else sink(depth - 1)

    return sink(20)


@does
async def raise_afterwards(request, handler):
    await handler(request)
    raise RuntimeError


@does
async def forbid_afterwards(request, handler):
    await handler(request)
    raise Forbidden("Too late.")


@does
async def give_nothing(request, handler):
    await handler(request)


@does
def give_at_once(request, handler):
    return web.json_response({})


@does
async def end_the_process(request, handler):
    sys.exit(3)


@does
async def interrupt(request, handler):
    raise KeyboardInterrupt


@does
async def cancel_itself(request, handler):
    task = asyncio.create_task(asyncio.sleep(9))
    task.cancel()
    await task


@does
async def ask_twice(request, handler):
    await handler(request)
    return await handler(request)


@does
async def put_two_lines(request, handler):
    request[EXCHANGE].headers["x-own"] = "a\r\nset-cookie: b"
    return await handler(request)


@does
async def put_a_number(request, handler):
    request[EXCHANGE].headers["x-own"] = 5
    return await handler(request)


@does
async def forbid_in_two_lines(request, handler):
    request[EXCHANGE].headers["x-own"] = "a\nb"
    raise Forbidden("No.")


@does
async def answer_in_two_lines(request, handler):
    return web.json_response({}, headers={"x-own": "a\nb"})


@does
async def begin_and_raise(request, handler):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    raise RuntimeError


@does
async def hang(request, handler):
    await asyncio.Event().wait()


@does
async def refuse_in_own_words(request, handler):
    raise web.HTTPTooManyRequests(text="Not so fast.", headers={"Retry-After": "7"})


@does
async def close(request, handler):
    raise web.HTTPServiceUnavailable(reason="Closed on Sundays.")


@does
async def lead_elsewhere(request, handler):
    raise web.HTTPFound("/elsewhere")


@does
async def try_again(request, handler):
    try:
        return await handler(request)
    except Forbidden:
        request[EXCHANGE].payload["model"] = "gemini-2.5-flash"
        return await handler(request)


@does
async def pass_on(request, handler):
    return await handler(request)


NAME = "tests.gateway.test_guard:Wrong"


@pytest.fixture
async def gateway(running):
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        settings = settings_for(upstream.url)
        chain = (*settings.middlewares[:4], {"use": NAME}, *settings.middlewares[4:])
        async with running(msgspec.structs.replace(settings, middlewares=chain)) as one:
            one.upstream = upstream
            one.booked = []
            one.app[LEDGER].book = one.booked.append
            yield one


def ask(gateway, what, **more):
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
    return gateway.session.post(
        f"{gateway.url}/v1/chat/completions",
        json=body | more,
        headers={"Authorization": LICENSE, "x-do": what},
    )


async def booked(gateway):
    async with asyncio.timeout(5):
        while not gateway.booked:
            await asyncio.sleep(0.005)
    (row,) = gateway.booked
    return row


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ("raise_deep", "raised ZeroDivisionError"),
        ("raise_afterwards", "raised RuntimeError"),
        ("give_nothing", "returned no response; does it `return await handler(request)`?"),
        ("give_at_once", "returned nothing that can be awaited"),
        ("end_the_process", "raised SystemExit"),
        ("interrupt", "raised KeyboardInterrupt"),
        ("cancel_itself", "raised a CancelledError of its own"),
        ("ask_twice", "called its handler again after the answer"),
        ("put_two_lines", "asked for the header 'x-own', which is not a single-line text"),
        ("put_a_number", "asked for the header 'x-own', which is not a single-line text"),
        ("forbid_in_two_lines", "asked for the header 'x-own', which is not a single-line text"),
        (
            "answer_in_two_lines",
            "answered with the header 'x-own', which is not a single-line text",
        ),
    ],
)
async def test_a_fault_is_a_plain_500_and_the_log_names_whose_it_is(gateway, what, complaint):
    with structlog.testing.capture_logs() as lines:
        async with ask(gateway, what) as response:
            assert response.status == 500
            assert (await response.json())["error"]["code"] == "internal_error"
            assert "x-own" not in response.headers
            assert response.headers["x-gateway-version"]
        row = await booked(gateway)
    assert (row.status, row.error, row.license) == (500, "internal_error", "tester")
    (line,) = [line for line in lines if line["event"] == "unexpected_error"]
    assert line["reason"].startswith(f"{NAME} {complaint}")
    assert line["id"] == row.id
    # What was used is booked, who ever failed afterwards.
    assert row.usage.total == (LAST["usageMetadata"]["totalTokenCount"] if row.model else 0)
    async with ask(gateway, "pass_on") as response:
        assert response.status == 200


@pytest.mark.parametrize("what", ["raise_afterwards", "forbid_afterwards", "give_nothing"])
async def test_a_fault_behind_a_stream_is_booked_as_one(gateway, what):
    """The client has had its answer, but did not leave: 499 would say so."""
    with structlog.testing.capture_logs() as lines:
        async with ask(gateway, what, stream=True) as response:
            assert response.status == 200
            assert (await response.text()).endswith("data: [DONE]\n\n")
        row = await booked(gateway)
    assert (row.status, row.error, row.finish) == (500, "internal_error", "stop")
    assert row.usage.total
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert (line["event"], line["id"]) == ("unexpected_error", row.id)


async def test_no_second_head_lands_in_an_answer_that_a_middleware_began(gateway):
    port = int(gateway.url.removesuffix("/gemini").rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    head = "POST /gemini/v1/chat/completions HTTP/1.1\r\nHost: x\r\nx-do: begin_and_raise\r\n"
    head += f"Authorization: {LICENSE}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert received.count(b"HTTP/1.1") == 1
    assert b"begun" in received
    assert (await booked(gateway)).error == "internal_error"


async def test_who_held_a_request_up_until_the_client_left_is_named(gateway):
    with structlog.testing.capture_logs() as lines:
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.6), ask(gateway, "hang"):
                pass
        row = await booked(gateway)
    assert (row.status, row.error) == (499, None)
    assert [(line["id"], line["middleware"]) for line in lines if "middleware" in line] == [
        (row.id, NAME)
    ]


async def test_who_waits_for_upstream_is_not_named(running):
    async with ScriptedUpstream(lambda *_: [30.0, *answer(200, LAST)]) as upstream:
        settings = settings_for(upstream.url)
        chain = (*settings.middlewares[:4], {"use": NAME}, *settings.middlewares[4:])
        async with running(msgspec.structs.replace(settings, middlewares=chain)) as gateway:
            with structlog.testing.capture_logs() as lines:
                asking = asyncio.create_task(ask(gateway, "pass_on").__aenter__())
                async with asyncio.timeout(5):
                    while not upstream.seen:
                        await asyncio.sleep(0.005)
                    asking.cancel()
                    while not any(line["event"] == "request" for line in lines):
                        await asyncio.sleep(0.005)
            assert not [line for line in lines if "middleware" in line]


@pytest.mark.parametrize(
    ("what", "status", "message", "wait"),
    [
        ("refuse_in_own_words", 429, "Not so fast.", "7"),
        ("close", 503, "Closed on Sundays.", None),
    ],
)
async def test_refusals_of_aiohttp_keep_status_words_and_wait(gateway, what, status, message, wait):
    async with ask(gateway, what) as response:
        error = (await response.json())["error"]
        assert (response.status, error["message"]) == (status, message)
        assert response.headers.get("retry-after") == wait


async def test_what_is_no_refusal_is_not_told_as_one(gateway):
    async with ask(gateway, "lead_elsewhere") as response:
        assert response.status == 500
        assert (await response.json())["error"]["code"] == "internal_error"


async def test_a_handler_that_refused_may_be_asked_again(running):
    async with ScriptedUpstream(answer(200, LAST)) as upstream:
        bound = [{"id": "tester", "key": LICENSE, "models": ["gemini-2.5-flash"]}]
        settings = settings_for(upstream.url, licenses=bound)
        chain = (*settings.middlewares[:4], {"use": NAME}, *settings.middlewares[4:])
        async with (
            running(msgspec.structs.replace(settings, middlewares=chain)) as gateway,
            ask(gateway, "try_again", model="gemini-2.5-pro") as response,
        ):
            assert response.status == 200


async def rising(app):
    raise OSError("no\n disk")
    yield


async def waiting(app):
    await asyncio.sleep(9)
    yield


async def yielding_nothing(app):
    return
    yield


@pytest.mark.parametrize(
    ("lifespan", "complaint"),
    [
        (rising, "acme: its lifespan failed: OSError: no disk"),
        (waiting, "acme: its lifespan did not reach its yield within 0.01 s"),
        (yielding_nothing, "acme: its lifespan failed: RuntimeError: generator didn't yield"),
    ],
)
async def test_a_lifespan_that_cannot_begin_ends_the_start_by_its_name(
    lifespan, complaint, monkeypatch
):
    monkeypatch.setattr(guard, "SET_UP_S", 0.01)
    with pytest.raises(MiddlewareFault) as caught:
        await anext(guard.bounded(lifespan, "acme")(web.Application()))
    assert str(caught.value) == complaint


async def falling(app):
    yield
    raise RuntimeError


async def yielding_twice(app):
    yield
    yield


async def staying(app):
    yield
    await asyncio.sleep(9)


@pytest.mark.parametrize("lifespan", [falling, yielding_twice, staying])
async def test_a_lifespan_that_does_not_end_well_leaves_the_others_their_end(lifespan, monkeypatch):
    monkeypatch.setattr(guard, "TEAR_DOWN_S", 0.01)
    ended = []

    async def ledger(_):
        yield
        ended.append("ledger")

    app = web.Application()
    app.cleanup_ctx.extend([ledger, guard.bounded(lifespan, "acme")])
    runner = web.AppRunner(app)
    await runner.setup()
    with structlog.testing.capture_logs() as lines:
        await runner.cleanup()
    assert ended == ["ledger"]
    assert [(line["event"], line["middleware"]) for line in lines] == [("lifespan_failed", "acme")]
