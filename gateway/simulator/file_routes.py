"""The Files API's routes: resumable upload, get, list, delete."""

from aiohttp import web

from gateway.simulator.app_keys import FILES
from gateway.simulator.received import RECEIVED
from gateway.simulator.refusal import Refusal
from gateway.simulator.sending import send_json, send_whole


def routes(version: str) -> list[web.RouteDef]:
    """Return the routes below *version*, the pattern of API versions."""
    return [
        web.post(f"/upload{version}/files", _upload),
        web.get(f"{version}/files", _list),
        web.get(f"{version}/{{name:files/[^/:]+}}", _get),
        web.delete(f"{version}/{{name:files/[^/:]+}}", _delete),
    ]


async def _upload(request: web.Request) -> web.StreamResponse:
    """Begin an upload, or take its next bytes: the address of the latter names the upload."""
    commands = request.headers.get("X-Goog-Upload-Command", "").replace(" ", "").split(",")
    if upload := request.query.get("upload_id"):
        return await _continue(request, upload, commands)
    if request.headers.get("X-Goog-Upload-Protocol") != "resumable" or commands != ["start"]:
        raise Refusal("Only resumable uploads are simulated.")
    files, received = request.app[FILES], request[RECEIVED]
    mime = request.headers.get("X-Goog-Upload-Header-Content-Type", "")
    upload = files.begin(received.body, mime, received.key)
    address = request.url.with_query(upload_id=upload, upload_protocol="resumable")
    headers = {"X-Goog-Upload-URL": str(address), "X-Goog-Upload-Status": "active"}
    return web.Response(headers=headers)


async def _continue(request: web.Request, upload: str, commands: list[str]) -> web.StreamResponse:
    files, offset = request.app[FILES], request.headers.get("X-Goog-Upload-Offset", "")
    if commands == ["query"]:
        arrived = str(files.arrived(upload))
        headers = {"X-Goog-Upload-Status": "active", "X-Goog-Upload-Size-Received": arrived}
        return web.Response(headers=headers)
    if not offset.isdigit():
        raise Refusal("X-Goog-Upload-Offset must be a number.")
    files.append(upload, int(offset), await request.read())
    if "finalize" not in commands:
        return web.Response(headers={"X-Goog-Upload-Status": "active"})
    response = send_json({"file": files.finalize(upload, str(request.url.origin()))})
    response.headers["X-Goog-Upload-Status"] = "final"
    return response


async def _get(request: web.Request) -> web.StreamResponse:
    files = request.app[FILES]
    return await send_whole(request, files.get(request.match_info["name"], request[RECEIVED].key))


async def _list(request: web.Request) -> web.StreamResponse:
    return await send_whole(request, {"files": request.app[FILES].list(request[RECEIVED].key)})


async def _delete(request: web.Request) -> web.StreamResponse:
    request.app[FILES].delete(request.match_info["name"], request[RECEIVED].key)
    return send_json({})
