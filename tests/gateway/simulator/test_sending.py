import aiohttp

from tests.gateway.simulator.wire import HELLO, post, raw_stream


async def test_a_stream_without_sse_is_an_array_and_so_are_its_errors(simulator):
    path = "models/gemini-2.5-flash:streamGenerateContent"
    status, events = await post(simulator, path, {"contents": HELLO})
    assert (status, isinstance(events, list)) == (200, True)
    status, errors = await post(simulator, path, {"contents": []})
    assert (status, errors[0]["error"]["code"]) == (400, 400)


async def test_events_end_in_crlf_and_hold_letters_as_they_are(simulator):
    raw = await raw_stream(simulator, "echo Größe")
    assert raw.startswith(b'data: {"candidates"')
    assert raw.endswith(b"}\r\n\r\n")
    assert "Größe".encode() in raw


async def test_whole_answers_are_indented(simulator):
    url = f"{simulator.url}/v1beta/models/gemini-2.5-pro?key=k"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert (await response.read()).startswith(b'{\n  "name"')
