"""What stands beside an answer: its end in Gemini's word, and the end of its model."""

import pytest

from tests.faults.scripted import ScriptedUpstream, answer, event, stream
from tests.running import settings_for

STATUS = {"modelStage": "DEPRECATED", "retirementTime": "2027-03-15T00:00:00Z"}
TOLD = {**event("Hi", finishReason="STOP"), "modelStatus": STATUS}
COUNTED = {
    "promptTokenCount": 300,
    "candidatesTokenCount": 90,
    "thoughtsTokenCount": 10,
    "cachedContentTokenCount": 200,
    "totalTokenCount": 400,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 12},
        {"modality": "IMAGE", "tokenCount": 258},
        {"modality": "AUDIO", "tokenCount": 30},
    ],
    "candidatesTokensDetails": [
        {"modality": "AUDIO", "tokenCount": 80},
        {"modality": "TEXT", "tokenCount": 10},
    ],
}


@pytest.mark.parametrize("streaming", [False, True])
async def test_the_retirement_of_a_model_is_told_in_a_header(running, streaming):
    script = stream(TOLD) if streaming else answer(200, TOLD)
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
        gateway.post(stream=streaming) as response,
    ):
        assert response.status == 200
        assert response.headers["Sunset"] == "Mon, 15 Mar 2027 00:00:00 GMT"


async def test_tokens_are_told_by_kind_streamed_and_whole(running):
    ending = {**event("Hi", finishReason="STOP"), "usageMetadata": COUNTED}
    async with (
        ScriptedUpstream(answer(200, ending), stream(ending)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        _, body, _ = await gateway.whole()
        got = await gateway.stream(stream_options={"include_usage": True})
    usage = body["usage"]
    kinds = {"text_tokens": 12, "image_tokens": 258, "audio_tokens": 30}
    assert usage["prompt_tokens_details"] == {"cached_tokens": 200, **kinds}
    kinds = {"text_tokens": 10, "audio_tokens": 80}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 10, **kinds}
    assert got.chunks[-1]["usage"] == usage


async def test_a_free_text_call_is_streamed_as_one(running, simulator):
    custom = {"type": "custom", "custom": {"name": "grep", "description": "Search"}}
    choice = {"type": "custom", "custom": {"name": "grep"}}
    async with running(settings_for(simulator.url)) as gateway:
        got = await gateway.stream(tools=[custom], tool_choice=choice)
    deltas = [chunk["choices"][0]["delta"] for chunk in got.chunks]
    [[call]] = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
    assert (call["index"], call["type"]) == (0, "custom")
    assert call["custom"] == {"name": "grep", "input": "input"}
    assert got.chunks[-1]["choices"][0]["native_finish_reason"] == "STOP"
    assert len({chunk["system_fingerprint"] for chunk in got.chunks}) == 1


TOKEN = "dG9rZW4="
CUT = {
    "content": {"role": "model", "parts": [{"text": "Once upon a"}]},
    "finishReason": "CONTINUATION",
    "continuationToken": TOKEN,
}


async def ended(gateway, *, streaming, **fields) -> tuple[str, dict]:
    """Return the text of an answer and the choice, or the chunk of it, that tells the end."""
    if streaming:
        got = await gateway.stream(**fields)
        return got.text, got.chunks[-1]["choices"][0]
    _, body, _ = await gateway.whole(**fields)
    [choice] = body["choices"]
    return choice["message"]["content"], choice


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("field", ["continuation_token", "continuationToken"])
async def test_an_answer_that_gemini_broke_off_can_be_continued(running, streaming, field):
    """The client is given the token that Gemini ends with, and sends it with the same request."""
    said = [{"candidates": [CUT]}, event(" time", finishReason="STOP")]
    scripts = [stream(one) if streaming else answer(200, one) for one in said]
    async with (
        ScriptedUpstream(*scripts) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        text, end = await ended(gateway, streaming=streaming)
        assert (text, end["finish_reason"]) == ("Once upon a", "length")
        assert end["native_finish_reason"] == "CONTINUATION"
        google = {field: end["continuation_token"]}
        text, end = await ended(gateway, streaming=streaming, google=google)
    assert (text, end["finish_reason"]) == (" time", "stop")
    assert "continuation_token" not in end
    before, after = (one.body for one in upstream.seen)
    assert after == before | {"continuationToken": TOKEN}
