"""A plain request gives JSON, or the fault that a call would have."""

import pytest
from yarl import URL

from gateway.errors import UpstreamTimeout
from gateway.upstream import api_client
from gateway.upstream.api_client import ApiClient, Refused
from gateway.upstream.faults import Failed, Kind
from gateway.upstream.uploads import without_address
from tests.faults.scripted import CLOSE, STALL, ScriptedUpstream, answer, refusal


async def ask(gemini, url: str, silence_s: float = 5.0):
    upstream = await gemini(url)
    redact = upstream.pool.redact
    api = ApiClient(upstream.session, redact, connect_s=1.0, silence_s=silence_s)
    return await api.request("POST", URL(url), {"x-goog-api-key": "key-1"}, b"{}")


@pytest.mark.parametrize(("body", "parsed"), [(b'{"a": 1}', {"a": 1}), (b"", {})])
async def test_headers_and_body_are_given(gemini, body, parsed):
    async with ScriptedUpstream(answer(200, body)) as scripted:
        response = await ask(gemini, scripted.url)
    assert (response.body, response.headers["content-type"]) == (parsed, "application/json")


@pytest.mark.parametrize(
    ("script", "kind", "is_page"),
    [
        (refusal(401, "UNAUTHENTICATED"), Kind.KEY_INVALID, False),
        (refusal(429, "RESOURCE_EXHAUSTED", "Please retry in 9s."), Kind.BUSY, False),
        (answer(404, b"<html>"), Kind.REQUEST, True),
        (answer(503, b""), Kind.OVERLOADED, True),
        ([b"HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"], Kind.REDIRECT, True),
    ],
)
async def test_a_refusal_is_judged_as_a_calls(gemini, script, kind, is_page):
    async with ScriptedUpstream(script) as scripted:
        with pytest.raises(Refused) as caught:
            await ask(gemini, scripted.url)
        assert len(scripted.seen) == 1
    assert (caught.value.fault.kind, caught.value.is_page) == (kind, is_page)
    assert str(caught.value.status) in str(script[0])


async def test_a_key_in_a_refusal_is_taken_out(gemini):
    async with ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", "No to key-1.")) as scripted:
        with pytest.raises(Refused) as caught:
            await ask(gemini, scripted.url)
    assert caught.value.fault.error.message == "No to [redacted]."


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"text"', b'{"a": '])
async def test_what_is_no_object_is_garbage(gemini, body):
    async with ScriptedUpstream(answer(200, body)) as scripted:
        with pytest.raises(Failed) as caught:
            await ask(gemini, scripted.url)
    assert caught.value.fault.kind is Kind.GARBAGE


async def test_an_answer_without_end_is_not_read_to_it(gemini, monkeypatch):
    monkeypatch.setattr(api_client, "MAX_ANSWER_BYTES", 1000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    async with ScriptedUpstream([head + b" " * 2000, STALL]) as scripted:
        with pytest.raises(Failed) as caught:
            await ask(gemini, scripted.url)
    assert caught.value.fault.kind is Kind.GARBAGE


@pytest.mark.parametrize(
    "script", [[CLOSE], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", CLOSE]]
)
async def test_a_broken_connection_is_the_networks(gemini, script):
    async with ScriptedUpstream(script) as scripted:
        with pytest.raises(Failed) as caught:
            await ask(gemini, scripted.url)
    assert caught.value.fault.kind is Kind.NETWORK


async def test_silence_is_the_networks_too(gemini):
    async with ScriptedUpstream([STALL]) as scripted:
        with pytest.raises(Failed) as caught:
            await ask(gemini, scripted.url, silence_s=0.1)
    assert isinstance(caught.value.fault.error, UpstreamTimeout)


async def test_the_reason_of_a_break_names_no_address_either(gemini):
    async def unreadable():
        raise OSError(5, "Input/output error")
        yield b""

    async with ScriptedUpstream([STALL]) as scripted:
        upstream = await gemini(scripted.url)
        api = ApiClient(
            upstream.session, without_address(upstream.pool.redact), connect_s=1.0, silence_s=5.0
        )
        url = URL(f"{scripted.url}/upload?upload_id=secret")
        with pytest.raises(Failed) as caught:
            await api.request("POST", url, {"Content-Length": "9"}, unreadable())
    fault = caught.value.fault
    assert fault.kind is Kind.NETWORK
    assert fault.reason.endswith("Can not write request body for [redacted]")
