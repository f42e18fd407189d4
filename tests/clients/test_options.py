"""Options through a gateway: what several copies of a call add up to, and strict mode."""

import pytest

from gateway.dialects.openai_chat import collect
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
    told = await gateway.stream(model=SINGLE, n=3, stream_options={"include_usage": True})
    assert counts(told.chunks[-1]["usage"]) == counts(three["usage"])


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
