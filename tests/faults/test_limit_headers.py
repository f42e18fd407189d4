"""Where a license stands is told on every answer that its limits were looked at for."""

import json

import pytest

from tests.faults.scripted import ScriptedUpstream, answer
from tests.running import LICENSE, settings_for

LIMITED = [
    {"id": "tester", "key": LICENSE, "requests_per_minute": 100, "tokens_per_minute": 90_000}
]
NAMES = {
    f"x-ratelimit-{what}-{unit}"
    for what in ("limit", "remaining", "reset")
    for unit in ("requests", "tokens")
}
CHAT = "/v1/chat/completions"
ASKED = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,bm90aGluZw=="}}
GONE = {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such model"}}
BUSY = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}


@pytest.mark.parametrize(
    ("status", "method", "path", "body", "headers"),
    [
        (400, "POST", CHAT, b"{", {}),
        (400, "POST", CHAT, b'{"model": 1}', {}),
        (400, "POST", CHAT, json.dumps(ASKED | {"temperature": 7}).encode(), {}),
        (
            400,
            "POST",
            CHAT,
            json.dumps(ASKED | {"messages": [{"role": "user", "content": [IMAGE]}]}).encode(),
            {},
        ),
        (404, "GET", "/v1/nothing", None, {}),
        (405, "GET", CHAT, None, {}),
        (413, "POST", CHAT, b" " * 70_000, {}),
        (415, "POST", CHAT, b"{}", {"Content-Encoding": "gzip"}),
        (404, "POST", CHAT, json.dumps(ASKED | {"model": "gemini-gone"}).encode(), {}),
        (503, "POST", CHAT, json.dumps(ASKED | {"model": "gemini-busy"}).encode(), {}),
        (
            503,
            "POST",
            CHAT,
            json.dumps(ASKED | {"model": "gemini-busy", "stream": True}).encode(),
            {},
        ),
    ],
)
async def test_errors_tell_it_as_answers_do(running, status, method, path, body, headers):
    replies = {404: answer(404, GONE), 503: answer(503, BUSY)}
    upstream_says = [replies[status]] * 3 if status in replies else []
    settings = {"licenses": LIMITED, "server": {"max_body_bytes": 60_000}}
    async with (
        ScriptedUpstream(*upstream_says) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.session.request(
            method,
            gateway.url + path,
            data=body,
            headers={"Authorization": LICENSE, "Content-Type": "application/json", **headers},
        ) as refused,
    ):
        assert refused.status == status, await refused.text()
        told = {name.lower(): value for name, value in refused.headers.items()}
        assert told.keys() >= NAMES
        assert told["x-ratelimit-limit-requests"] == "100"
        assert told["x-ratelimit-remaining-requests"] == "99"
