"""What upstream says, and what a client makes of it, the same whether streamed or whole."""

from dataclasses import dataclass, field
from typing import Any

from tests.running import Gateway, streamed

USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def says(*parts: dict, finish: str | None = None, **more: Any) -> dict:
    """Return one event with *parts*; *more* goes into the candidate, usage comes with *finish*."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, **more}
    if finish is None:
        return {"candidates": [candidate]}
    return {"candidates": [{**candidate, "finishReason": finish}], "usageMetadata": USAGE}


def calls(name: str, args: dict | None = None, **more: Any) -> dict:
    """Return the part of one function call; *more* goes beside the call, as a signature does."""
    call_id = {"id": more.pop("id")} if "id" in more else {}
    return {"functionCall": {**call_id, "name": name, "args": args or {}}, **more}


def joined(events: list[dict]) -> dict:
    """Return the whole answer that streams as *events*."""
    whole: dict = {}
    candidate: dict = {}
    parts: list[dict] = []
    for event in events:
        whole |= event
        for addition in event.get("candidates", ()):
            candidate |= addition
            parts += addition.get("content", {}).get("parts", ())
    if "content" in candidate:
        candidate["content"] = {"role": "model", **({"parts": parts} if parts else {})}
    return whole | ({"candidates": [candidate]} if candidate else {})


@dataclass
class Reply:
    """What the client got: *message* and the fields of the first choice beside it."""

    status: int
    headers: dict[str, str]
    message: dict = field(default_factory=dict)
    choice: dict = field(default_factory=dict)
    usage: dict | None = None
    error: dict | None = None
    chunks: list[dict] = field(default_factory=list)
    done: bool = False

    @property
    def text(self) -> str:
        return self.message.get("content") or ""

    @property
    def finish_reason(self) -> str | None:
        return self.choice.get("finish_reason")

    @property
    def calls(self) -> list[dict]:
        return self.message.get("tool_calls") or []


async def ask(gateway: Gateway, *, streaming: bool, **fields: Any) -> Reply:
    """Ask in this way and give the reply, a stream's deltas joined as clients do it."""
    if streaming:
        fields = {"stream_options": {"include_usage": True}, **fields}
    async with gateway.post(stream=streaming, **fields) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        reply = Reply(response.status, headers)
        if streaming and response.status == 200:
            return _read_stream(reply, await response.read())
        body = await response.json()
    reply.error, reply.usage = body.get("error"), body.get("usage")
    if reply.error is None:
        reply.choice = body["choices"][0]
        reply.message = reply.choice["message"]
    return reply


def _read_stream(reply: Reply, body: bytes) -> Reply:
    frames = streamed(body)
    reply.chunks, reply.error, reply.done = frames.chunks, frames.error, frames.done
    for chunk in frames.chunks:
        reply.usage = chunk.get("usage") or reply.usage
        for choice in chunk["choices"]:
            _join(reply.message, choice["delta"])
            reply.choice |= {name: value for name, value in choice.items() if value is not None}
    return reply


def _join(message: dict, delta: dict) -> None:
    for name, value in delta.items():
        if isinstance(value, dict):
            message[name] = message.get(name, {}) | value
        elif name in message and name != "role":
            message[name] = message[name] + value
        else:
            message[name] = value
