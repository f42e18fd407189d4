import aiohttp

from tests.gateway.simulator.wire import ask


async def test_a_file_is_uploaded_in_pieces_over_http(simulator):
    start = {
        "X-Goog-Upload-Protocol": "resumable",
        "X-Goog-Upload-Command": "start",
        "X-Goog-Upload-Header-Content-Type": "image/png",
        "x-goog-api-key": "k",
    }
    async with aiohttp.ClientSession() as session:
        address = f"{simulator.url}/upload/v1beta/files"
        async with session.post(address, headers=start, json={"file": {}}) as response:
            url = response.headers["X-Goog-Upload-URL"]
        piece = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload"}
        async with session.post(url, headers=piece, data=b"ab") as response:
            assert response.headers["X-Goog-Upload-Status"] == "active"
        async with session.post(url, headers={"X-Goog-Upload-Command": "query"}) as response:
            assert response.headers["X-Goog-Upload-Size-Received"] == "2"
        piece = {"X-Goog-Upload-Offset": "2", "X-Goog-Upload-Command": "upload, finalize"}
        async with session.post(url, headers=piece, data=b"c") as response:
            assert response.headers["X-Goog-Upload-Status"] == "final"
            file = (await response.json())["file"]
        async with session.post(url, headers={"X-Goog-Upload-Offset": "x"}) as response:
            assert response.status == 400
        async with session.post(address, headers={"x-goog-api-key": "k"}) as response:
            assert response.status == 400
    assert file["sizeBytes"] == "3"
    part = {"fileData": {"fileUri": file["uri"], "mimeType": "image/png"}}
    contents = [{"role": "user", "parts": [part, {"text": "what?"}]}]
    status, body = await ask(simulator, "", contents=contents, key="other")
    assert (status, "do not have permission" in body["error"]["message"]) == (403, True)
