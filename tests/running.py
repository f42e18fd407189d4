"""A client of a running gateway, and settings for one in front of a given upstream."""

import asyncio
import json
from dataclasses import dataclass
from functools import cache

import aiohttp
import msgspec
from aiohttp import web

from gateway.config import read
from gateway.settings import Settings

LICENSE = "fault-license"
# Every upstream key of the tests begins so; `tests/conftest.py` looks for it in all output.
SECRET = "AIzaSyNeverToBeSeen-"


def settings_for(url: str, *, keys=("key-1",), **sections) -> Settings:
    """Return settings with short limits, in front of *url*; *sections* override single options."""
    tree = {
        "upstream": {
            "base_url": url,
            "credentials": [
                {"name": f"c{n}", "key": SECRET + key} for n, key in enumerate(keys, 1)
            ],
            "first_event_timeout_s": 5.0,
            "idle_timeout_s": 5.0,
        }
        | sections.pop("upstream", {}),
        "licenses": [{"id": "tester", "key": LICENSE}],
        "database": {"url": "sqlite+aiosqlite://"},
    } | sections
    return msgspec.convert(_merge(_defaults(), tree), Settings, strict=False)


@cache
def _defaults() -> dict:
    return msgspec.to_builtins(read(None, {}))


def _merge(below, above, depth=3):
    """Merge sections, their options and tables of those; what a table names is replaced whole."""
    if depth and isinstance(below, dict) and isinstance(above, dict):
        merged = {key: _merge(below.get(key), value, depth - 1) for key, value in above.items()}
        return below | merged
    return above


@dataclass
class Gateway:
    """A running gateway and a client for it."""

    url: str
    session: aiohttp.ClientSession
    app: web.Application

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def tick(self) -> None:
        """Let the others run."""
        await asyncio.sleep(0.01)

    def post(self, payload: dict | None = None, **more):
        body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
        return self.session.post(
            f"{self.url}/v1/chat/completions",
            json=body | (payload or {}) | more,
            headers={"Authorization": LICENSE},
        )

    async def whole(self, **more) -> tuple[int, dict, dict]:
        """Ask for a whole answer; give status, body and headers."""
        async with self.post(**more) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, await response.json(), headers

    async def stream(self, **more) -> "Streamed":
        """Ask for a stream and read it to its end."""
        async with self.post(stream=True, **more) as response:
            if response.status != 200:
                body = await response.json()
                return Streamed(response.status, [], body.get("error"), done=False)
            return streamed(await response.read())


@dataclass
class Streamed:
    """What a client made of a stream."""

    status: int
    chunks: list[dict]
    error: dict | None
    done: bool

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or ""
            for chunk in self.chunks
            for choice in chunk["choices"]
        )

    @property
    def finish_reasons(self) -> list[str]:
        reasons = [c.get("finish_reason") for chunk in self.chunks for c in chunk["choices"]]
        return [reason for reason in reasons if reason]


def streamed(body: bytes) -> Streamed:
    """Read a whole event stream as the strictest client would."""
    frames = body.decode().split("\n\n")
    assert frames.pop() == "", "the stream ends with a whole frame"
    payloads = [frame.removeprefix("data: ") for frame in frames if not frame.startswith(":")]
    done = bool(payloads) and payloads[-1] == "[DONE]"
    objects = [json.loads(payload) for payload in payloads[: -1 if done else None]]
    errors = [one["error"] for one in objects if "error" in one]
    assert len(errors) <= 1
    chunks = [one for one in objects if "error" not in one]
    return Streamed(200, chunks, errors[0] if errors else None, done)
