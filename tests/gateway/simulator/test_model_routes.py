import pytest

from gateway.simulator.models import MODELS
from tests.gateway.simulator.wire import HELLO, ask, get, post


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
    simulator.caches["cachedContents/b"] = "b"
    answers = [await ask(simulator, "a", cachedContent="cachedContents/b", key=key) for key in "ab"]
    assert [status for status, _ in answers] == [403, 200]
    seen = [await get(simulator, "/v1beta/cachedContents/b", key) for key in "ab"]
    assert [status for status, _ in seen] == [403, 200]
    assert seen[1][1] == {"name": "cachedContents/b"}
