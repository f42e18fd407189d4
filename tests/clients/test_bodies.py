"""Bodies that are wrong: the answer names the culprit, and nothing goes upstream."""

import io
import json

import pytest

from tests.running import LICENSE, settings_for

HELLO = [{"role": "user", "content": "hi"}]
KINDS = {"boolean": True, "number": 1.5, "text": "\x01wrong", "list": [[]], "object": {"a": 1}}
# The JSON types that each field of a request may have.
FIELDS = {
    "model": {"text"},
    "messages": {"list"},
    "stream": {"boolean"},
    "stream_options": {"object"},
    "temperature": {"number"},
    "top_p": {"number"},
    "max_tokens": {"number"},
    "max_completion_tokens": {"number"},
    "presence_penalty": {"number"},
    "frequency_penalty": {"number"},
    "n": {"number"},
    "seed": {"number"},
    "stop": {"text", "list"},
    "logprobs": {"boolean"},
    "top_logprobs": {"number"},
    "response_format": {"object"},
    "tools": {"list"},
    "tool_choice": {"text", "object"},
    "parallel_tool_calls": {"boolean"},
    "reasoning_effort": {"text"},
    "modalities": {"list"},
    "audio": {"object"},
    "functions": {"list"},
}
WRONG = [(f, k) for f, right in FIELDS.items() for k in KINDS if k not in right]
MESSAGE_FIELDS = {
    "messages[0]": [5, "hi", None, [], True],
    "messages[0].role": [{"role": bad, "content": "hi"} for bad in (5, None, "robot", [], {})],
    "messages[0].content": [{"role": "user", "content": bad} for bad in (5, True, {"a": 1})],
}
BODIES = {
    "not JSON": b"{nope",
    "empty": b"",
    "a list": b"[]",
    "a number": b"5",
    "not a number": b'{"model":"gemini-2.5-flash","messages":[],"temperature":NaN}',
    "lone surrogate": b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
    "bad UTF-8": b'{"model":"\xff"}',
    "a megabyte of nesting": b'{"messages":' + b"[" * 1_000_000,
    "deep and closed": b'{"messages":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
    "no messages": b'{"model":"gemini-2.5-flash","messages":[]}',
    "missing messages": b'{"model":"gemini-2.5-flash"}',
    "oversize": b'{"model":"' + b"a" * 3_000_000 + b'"}',
}


@pytest.fixture
async def gateway(running, simulator):
    """Yield a gateway that takes bodies of two megabytes."""
    settings = settings_for(simulator.url, server={"max_body_bytes": 2_000_000})
    async with running(settings) as one:
        yield one


async def refused(gateway, simulator, body: bytes) -> dict:
    """Send *body*; give the error, which must be the client's and stay with the gateway."""
    headers = {"Authorization": LICENSE, "Content-Type": "application/json"}
    url = f"{gateway.url}/v1/chat/completions"
    async with gateway.session.post(url, data=io.BytesIO(body), headers=headers) as response:
        answer = await response.json()
        assert 400 <= response.status < 500, answer
    assert not [one for one in simulator.received if "generate" in one.action.lower()]
    assert set(answer["error"]) >= {"message", "type", "param", "code"}
    return answer["error"]


async def test_each_field_refuses_each_wrong_type(gateway, simulator):
    found = {}
    for field, kind in WRONG:
        payload = {"model": "gemini-2.5-flash", "messages": HELLO, field: KINDS[kind]}
        error = await refused(gateway, simulator, json.dumps(payload).encode())
        found[field, kind] = error["param"] or ""
    assert [one for one, param in found.items() if not param.startswith(one[0])] == []


@pytest.mark.parametrize("param", MESSAGE_FIELDS)
async def test_each_part_of_a_message_refuses_each_wrong_type(gateway, simulator, param):
    for bad in MESSAGE_FIELDS[param]:
        payload = {"model": "gemini-2.5-flash", "messages": [bad]}
        error = await refused(gateway, simulator, json.dumps(payload).encode())
        assert error["param"] == param, bad


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_request_is_refused(gateway, simulator, name):
    await refused(gateway, simulator, BODIES[name])
