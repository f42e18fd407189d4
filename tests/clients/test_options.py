"""Options through a gateway: what several copies of a call add up to, and strict mode."""

import pytest

from gateway.dialects.openai_chat.reply import collect
from tests.running import LICENSE, settings_for

# It refuses several candidates, so that as many calls are made.
SINGLE = "gemini-3.8-flash"


@pytest.fixture
async def gateway(running, simulator):
    async with running(settings_for(simulator.url)) as one:
        yield one


def counts(usage):
    return [usage[f"{name}_tokens"] for name in ("prompt", "completion", "total")]


async def test_answers_by_several_calls_count_all_of_them(gateway, simulator):
    _, one, _ = await gateway.whole(model=SINGLE)
    _, three, _ = await gateway.whole(model=SINGLE, n=3)
    assert len(simulator.received) == 4
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert counts(three["usage"]) == [3 * count for count in counts(one["usage"])]
    streamed_answer = await gateway.stream(
        model=SINGLE, n=3, stream_options={"include_usage": True}
    )
    assert counts(streamed_answer.chunks[-1]["usage"]) == counts(three["usage"])


async def test_a_blocked_prompt_blocks_every_copy(gateway):
    fields = {"messages": [{"role": "user", "content": "block the prompt"}], "n": 2}
    status, body, _ = await gateway.whole(model=SINGLE, **fields)
    assert status == 200
    assert [one["finish_reason"] for one in body["choices"]] == ["content_filter"] * 2
    assert all(one["message"]["refusal"] for one in body["choices"])
    got = await gateway.stream(model=SINGLE, **fields)
    assert collect.choices(got.chunks) == body["choices"]


@pytest.mark.parametrize("stream", [False, True])
async def test_strict_mode_refuses_what_only_the_model_finds_out(gateway, stream):
    body = {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "Hi"}],
        "presence_penalty": 1,
        "stream": stream,
    }
    headers = {"Authorization": LICENSE, "x-gateway-strict": "true"}
    url = f"{gateway.url}/v1/chat/completions"
    # The second time the refusal is known beforehand.
    for _ in range(2):
        async with gateway.session.post(url, json=body, headers=headers) as response:
            assert response.status == 400
            error = (await response.json())["error"]
            assert (error["code"], error["param"]) == ("strict_mode", "presence_penalty")


@pytest.mark.parametrize("stream", [False, True])
async def test_cached_content_goes_up_without_what_it_holds_itself(gateway, simulator, stream):
    fields = {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "required",
        "google": {"cached_content": "cachedContents/simulated"},
    }
    async with gateway.post(stream=stream, **fields) as response:
        assert response.status == 200
        adjusted = response.headers["x-gateway-adjusted"]
        await response.read()
    for name in ("system", "tools", "tool_choice"):
        assert f"{name}=dropped;reason=cached_content" in adjusted
    (received,) = simulator.received
    assert received.body["cachedContent"] == "cachedContents/simulated"
    assert received.body.keys() == {"contents", "safetySettings", "cachedContent"}


async def test_cached_content_that_is_gone_is_told_and_costs_no_key(gateway):
    status, body, _ = await gateway.whole(google={"cached_content": "cachedContents/gone"})
    assert (status, "CachedContent not found" in body["error"]["message"]) == (404, True)
    assert (await gateway.whole())[0] == 200


async def test_tier_seed_and_probabilities_go_up_and_come_back(gateway, simulator):
    fields = {"service_tier": "flex", "seed": 0, "logprobs": True, "top_logprobs": 2}
    status, body, _ = await gateway.whole(**fields)
    assert (status, body["service_tier"]) == (200, "flex")
    sent = simulator.received[0].body
    assert sent["serviceTier"] == "flex"
    assert sent["generationConfig"] == {"seed": 0, "responseLogprobs": True, "logprobs": 2}
    tokens = body["choices"][0]["logprobs"]["content"]
    token_text = b"".join(bytes(one["bytes"]) for one in tokens).decode()
    assert token_text == body["choices"][0]["message"]["content"]
    got = await gateway.stream(**fields)
    assert collect.choices(got.chunks) == body["choices"]
