import aiohttp
import pytest

from gateway.simulator import Simulator, start
from gateway.simulator.models import MODELS
from tests.gateway.simulator.wire import HELLO, ask, post, text


async def get(simulator, path, key="k"):
    url = f"{simulator.url}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers={"x-goog-api-key": key}) as response,
    ):
        return response.status, await response.json()


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


async def test_start_gives_a_running_simulator_that_can_be_stopped():
    running = await start("127.0.0.1", 0)
    status, answer = await ask(running, "echo you there")
    assert (status, text(answer)) == (200, "you there")
    await running.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(running, "echo anybody")


async def test_models_come_in_pages_that_together_hold_each_once(simulator):
    names, token = [], ""
    while True:
        _, page = await get(simulator, f"/v1beta/models?pageSize=10{token}")
        names += [card["name"] for card in page["models"]]
        if "nextPageToken" not in page:
            break
        token = f"&pageToken={page['nextPageToken']}"
    assert names == [f"models/{name}" for name in MODELS]


async def test_a_model_is_shown_or_told_to_be_unknown(simulator):
    status, card = await get(simulator, "/v1/models/gemini-2.5-pro")
    assert (status, card["inputTokenLimit"], card["thinking"]) == (200, 1_048_576, True)
    status, body = await get(simulator, "/v1beta/models/gemini-2.0-flash")
    assert (status, body["error"]["status"]) == (404, "NOT_FOUND")
    status, body = await get(simulator, "/v1beta/models?pageSize=x")
    assert status == 400


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-embedding-001", "nobody"])
async def test_a_model_that_is_gone_or_cannot_talk_is_not_found(simulator, model):
    status, body = await ask(simulator, "hello", model)
    assert (status, body["error"]["code"], body["error"]["status"]) == (404, 404, "NOT_FOUND")
    assert f"models/{model} is not found for API version v1beta" in body["error"]["message"]


async def test_an_unknown_address_is_no_json():
    async with Simulator() as simulator, aiohttp.ClientSession() as session:
        for path in ("/v2/models", "/v1beta/models/gemini-2.5-flash:dance"):
            async with session.post(f"{simulator.url}{path}?key=k", json={}) as response:
                assert (response.status, response.content_type) == (404, "text/html")


@pytest.mark.parametrize(
    ("standing", "status", "name", "told"),
    [
        ("bad", 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
        ("expired", 400, "INVALID_ARGUMENT", "API key expired"),
        ("suspended", 403, "PERMISSION_DENIED", "CONSUMER_SUSPENDED"),
        ("minute", 429, "RESOURCE_EXHAUSTED", "PerMinute"),
        ("day", 429, "RESOURCE_EXHAUSTED", "PerDay"),
        ("region", 400, "FAILED_PRECONDITION", "User location is not supported"),
    ],
)
async def test_each_standing_of_a_key_has_its_refusal(standing, status, name, told):
    async with Simulator(keys={"worn": standing}) as simulator:
        got, body = await ask(simulator, "hello", key="worn")
        assert (got, body["error"]["status"]) == (status, name)
        assert told in str(body)
        simulator.keys["worn"] = "good"
        assert (await ask(simulator, "hello", key="worn"))[0] == 200


async def test_no_key_is_refused(simulator):
    assert (await ask(simulator, "hello", key=""))[0] == 403


async def test_a_body_that_is_no_json_is_refused(simulator):
    url = f"{simulator.url}/v1beta/models/gemini-2.5-flash:generateContent?key=k"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"{") as response:
        assert response.status == 400
        body = await response.json()
    assert body["error"]["message"].startswith("Invalid JSON payload received.")


async def test_a_stream_without_sse_is_an_array_and_so_are_its_errors(simulator):
    path = "models/gemini-2.5-flash:streamGenerateContent"
    status, events = await post(simulator, path, {"contents": HELLO})
    assert (status, isinstance(events, list)) == (200, True)
    status, errors = await post(simulator, path, {"contents": []})
    assert (status, errors[0]["error"]["code"]) == (400, 400)


async def test_tokens_are_counted_of_contents_or_of_a_whole_request(simulator):
    path = "models/gemini-2.5-flash:countTokens"
    _, plain = await post(simulator, path, {"contents": HELLO})
    inner = {"model": "models/gemini-2.5-flash", "contents": HELLO}
    _, nested = await post(simulator, path, {"generateContentRequest": inner})
    assert plain == nested == {
        "totalTokens": 3, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
    }  # fmt: skip
    both = {"contents": HELLO, "generateContentRequest": inner}
    assert (await post(simulator, path, both))[0] == 400
    assert (await post(simulator, path, {}))[0] == 400


async def test_only_caches_that_exist_can_be_used(simulator):
    assert (await ask(simulator, "a", cachedContent="cachedContents/simulated"))[0] == 200
    status, body = await ask(simulator, "a", cachedContent="cachedContents/gone")
    assert (status, body["error"]["message"]) == (
        403,
        "CachedContent not found (or permission denied)",
    )
