"""Apps that answer anything, and HTTP as it is on the wire."""

import asyncio

from aiohttp import web

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"


def app_of(handler) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


async def echo(request: web.Request) -> web.Response:
    return web.json_response({"path": request.raw_path, "rel_url": str(request.rel_url)})


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict, bytes]:
    """Read one answer: its status, its headers, its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, body
