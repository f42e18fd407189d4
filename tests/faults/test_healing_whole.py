"""Refusals that are mended: once with a second attempt, and from then on at once."""

import pytest

from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal, stream
from tests.running import settings_for

# name: Google's message, what the client asks for, what is told
REFUSALS = {
    "penalty": (
        "Penalty is not enabled for this model",
        {"presence_penalty": 1},
        "presence_penalty=dropped",
    ),
    "tokens": (
        "max_output_tokens 9000 is out of range: from 1 (inclusive) to 8193 (exclusive)",
        {"max_tokens": 9000},
        "max_tokens=8192",
    ),
    "seed": ("seed is not supported for this model", {"seed": 1}, "seed=dropped"),
    "unsuited json": (
        "JSON mode is not enabled for this model",
        {"response_format": {"type": "json_object"}},
        "response_format=emulated",
    ),
}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", REFUSALS)
async def test_the_first_request_heals_and_the_next_is_right_at_once(running, name, streaming):
    message, asked, told = REFUSALS[name]
    good = stream(LAST) if streaming else answer(200, LAST)
    async with (
        ScriptedUpstream(refusal(400, "INVALID_ARGUMENT", message), good) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for calls in (2, 3):
            async with gateway.post(stream=streaming, **asked) as response:
                assert response.status == 200
                assert told in response.headers["x-gateway-adjusted"]
                await response.read()
            assert len(upstream.seen) == calls
        assert upstream.seen[1].body == upstream.seen[2].body
