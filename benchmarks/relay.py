"""The yardstick: a relay on aiohttp that translates and does nothing else.

No licenses, no limits, no checks, no retries, no log, hardly any errors: what is left is the least
that any gateway on aiohttp must do, done well. `--write read` encodes all events of one read into
one write, `--write chunk` writes each chunk separately.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import orjson
from aiohttp import ClientSession, web

UPSTREAM = web.AppKey("upstream", ClientSession)
WRITE_PER_CHUNK = web.AppKey("write_per_chunk", bool)
STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
IDS = itertools.count(1)


def to_part(part: dict[str, Any]) -> dict[str, Any]:
    """Translate one content part: text, or a picture as a data URI."""
    if part["type"] == "text":
        return {"text": part["text"]}
    mime, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
    return {"inlineData": {"mimeType": mime, "data": data}}


def to_body(payload: dict[str, Any]) -> dict[str, Any]:
    """Translate a chat payload into Gemini's body."""
    body: dict[str, Any] = {"contents": [], "generationConfig": {}}
    for message in payload["messages"]:
        content = message["content"]
        parts = [{"text": content}] if isinstance(content, str) else [*map(to_part, content)]
        if message["role"] == "system":
            body["systemInstruction"] = {"parts": parts}
        else:
            role = "model" if message["role"] == "assistant" else "user"
            body["contents"].append({"role": role, "parts": parts})
    for name, wire in (("temperature", "temperature"), ("max_tokens", "maxOutputTokens")):
        if name in payload:
            body["generationConfig"][wire] = payload[name]
    return body


def text_of(candidate: dict[str, Any]) -> str:
    """Join the texts of *candidate*."""
    return "".join(part.get("text", "") for part in candidate["content"]["parts"])


def to_usage(event: dict[str, Any]) -> dict[str, int]:
    """Translate the token counts."""
    usage = event["usageMetadata"]
    return {
        "prompt_tokens": usage["promptTokenCount"],
        "completion_tokens": usage["candidatesTokenCount"],
        "total_tokens": usage["totalTokenCount"],
    }


def to_frames(events: list[dict[str, Any]], head: dict[str, Any]) -> Iterator[bytes]:
    """Yield each event as a frame of the client's stream."""
    for event in events:
        candidate = event["candidates"][0]
        choice = {
            "index": 0,
            "delta": {"content": text_of(candidate)},
            "finish_reason": FINISH.get(candidate.get("finishReason", "")),
        }
        yield b"data: " + orjson.dumps({**head, "choices": [choice]}) + b"\n\n"


def new_head(kind: str, model: str) -> dict[str, Any]:
    """Return what is equal in all chunks of an answer."""
    return {
        "id": f"chatcmpl-{next(IDS)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


async def whole(request: web.Request, payload: dict[str, Any]) -> web.Response:
    """Answer at once."""
    path = f"/v1beta/models/{payload['model']}:generateContent"
    async with request.app[UPSTREAM].post(path, data=orjson.dumps(to_body(payload))) as answer:
        reply = orjson.loads(await answer.read())
    candidate = reply["candidates"][0]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text_of(candidate)},
        "finish_reason": FINISH.get(candidate.get("finishReason", "")),
    }
    head = new_head("chat.completion", payload["model"])
    body = orjson.dumps({**head, "choices": [choice], "usage": to_usage(reply)})
    return web.Response(body=body, content_type="application/json")


async def stream(request: web.Request, payload: dict[str, Any]) -> web.StreamResponse:
    """Answer event by event."""
    path = f"/v1beta/models/{payload['model']}:streamGenerateContent?alt=sse"
    head = new_head("chat.completion.chunk", payload["model"])
    response = web.StreamResponse(headers=STREAM_HEADERS)
    async with request.app[UPSTREAM].post(path, data=orjson.dumps(to_body(payload))) as answer:
        await response.prepare(request)
        unfinished = b""
        async for data in answer.content.iter_any():
            *blocks, unfinished = (unfinished + data).split(b"\r\n\r\n")
            frames = to_frames([orjson.loads(block[6:]) for block in blocks], head)
            if not request.app[WRITE_PER_CHUNK]:
                await response.write(b"".join(frames))
                continue
            for frame in frames:
                await response.write(frame)
    await response.write(b"data: [DONE]\n\n")
    return response


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer `POST /v1/chat/completions`."""
    payload = orjson.loads(await request.read())
    return await (stream if payload.get("stream") else whole)(request, payload)


def build_app(upstream: str, *, write_per_chunk: bool) -> web.Application:
    """Build the relay in front of *upstream*, an address."""
    app = web.Application(client_max_size=100 * 1024 * 1024)
    app[WRITE_PER_CHUNK] = write_per_chunk

    async def session(app: web.Application) -> Any:
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"Content-Type": "application/json", "x-goog-api-key": "key"}
        async with ClientSession(upstream, connector=connector, headers=headers) as client:
            app[UPSTREAM] = client
            yield

    app.cleanup_ctx.append(session)
    app.router.add_post("/v1/chat/completions", chat)
    return app


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop where it is installed, as the gateway does."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--write", choices=("read", "chunk"), default="read")
    options = parser.parse_args()
    app = build_app(options.upstream, write_per_chunk=options.write == "chunk")
    settings: dict[str, Any] = {"access_log": None, "print": None, "loop": new_loop()}
    web.run_app(app, host=options.host, port=options.port, backlog=4096, **settings)


if __name__ == "__main__":
    main()
