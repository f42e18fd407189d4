import aiohttp
import pytest

from gateway.simulator import Simulator, start
from tests.gateway.simulator.wire import ask, text


async def test_what_was_received_is_kept(simulator):
    await ask(simulator, "echo a", key="mine", generationConfig={"seed": 0})
    (received,) = simulator.received
    assert received.key == "mine"
    assert (received.model, received.action) == ("gemini-2.5-flash", "generateContent")
    assert received.body["generationConfig"] == {"seed": 0}
    assert received.headers["content-type"] == "application/json"
    assert (received.status, received.cancelled, received.done.is_set()) == (200, False, True)
    simulator.reset()
    assert not simulator.received


async def test_a_nesting_that_is_too_deep_is_refused(simulator):
    schema = {"type": "STRING"}
    for _ in range(480):
        schema = {"type": "ARRAY", "items": schema}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    status, body = await ask(simulator, "deep", generationConfig=config)
    assert (status, "too deep" in body["error"]["message"]) == (400, True)


async def test_start_gives_a_running_simulator_that_can_be_stopped():
    running = await start("127.0.0.1", 0)
    status, answer = await ask(running, "echo you there")
    assert (status, text(answer)) == (200, "you there")
    await running.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(running, "echo anybody")


async def test_an_unknown_address_is_no_json():
    async with Simulator() as simulator, aiohttp.ClientSession() as session:
        for path in ("/v2/models", "/v1beta/models/gemini-2.5-flash:dance"):
            async with session.post(f"{simulator.url}{path}?key=k", json={}) as response:
                assert (response.status, response.content_type) == (404, "text/html")


async def test_a_body_that_is_no_json_is_refused(simulator):
    url = f"{simulator.url}/v1beta/models/gemini-2.5-flash:generateContent?key=k"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"{") as response:
        assert response.status == 400
        body = await response.json()
    assert body["error"]["message"].startswith("Invalid JSON payload received.")
