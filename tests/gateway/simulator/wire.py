"""Ask the simulator over plain HTTP."""

import json

import aiohttp

HELLO = [{"role": "user", "parts": [{"text": "echo hello"}]}]


async def ask(simulator, question, model="gemini-2.5-flash", *, key="k", **fields):
    """Return the status and the parsed answer to a whole request."""
    contents = [{"role": "user", "parts": [{"text": question}]}]
    return await post(
        simulator, f"models/{model}:generateContent", {"contents": contents, **fields}, key=key
    )


async def post(simulator, path, body, *, key="k", version="v1beta"):
    """Return the status and the parsed answer of a POST."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{simulator.url}/{version}/{path}", json=body, headers={"x-goog-api-key": key}
        ) as response,
    ):
        return response.status, json.loads(await response.read())


async def stream(simulator, question, model="gemini-2.5-flash", **fields):
    """Return the events of a streamed answer."""
    raw = await raw_stream(simulator, question, model, **fields)
    return [json.loads(frame[6:]) for frame in raw.split(b"\r\n\r\n") if frame]


async def raw_stream(simulator, question, model="gemini-2.5-flash", **fields):
    """Return the bytes of a streamed answer."""
    contents = [{"role": "user", "parts": [{"text": question}]}]
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{simulator.url}/v1beta/models/{model}:streamGenerateContent?alt=sse&key=k",
            json={"contents": contents, **fields},
        ) as response,
    ):
        return await response.read()


def text(answer):
    """Return the text of a whole answer, thoughts left out."""
    parts = answer["candidates"][0]["content"].get("parts", [])
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


async def get(simulator, path, key="k"):
    url = f"{simulator.url}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers={"x-goog-api-key": key}) as response,
    ):
        return response.status, await response.json()
