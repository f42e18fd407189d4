"""Finish reasons and the ends of answers: one end, the true one, and nothing lost before it."""

import asyncio

import pytest

from tests.faults.scripted import CLOSE, END, RESET, SSE, STALL, ScriptedUpstream, chunk, data
from tests.running import settings_for
from tests.symptoms.reply import USAGE, ask, calls, says

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
NOTHING = {"text": ""}
CODE = {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)"}}
OUTPUT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}


@pytest.mark.parametrize(
    "events",
    [
        [says(calls("look")), says(NOTHING, finish="STOP")],
        [says(calls("look"), finish="STOP", finishMessage="Model generated function call(s).")],
        [says({"text": "I look."}), says(calls("look")), says(finish="STOP")],
    ],
    ids=["an empty text at the end", "at once", "after text"],
)
async def test_an_answer_that_calls_a_function_ends_with_tool_calls(scripted, streaming, events):
    """Gemini has no word of its own for it, and says STOP.

    Reported in googleapis/python-genai#2868, BerriAI/litellm#21041, BerriAI/litellm#12240,
    BerriAI/litellm#12481, envoy#2399.
    """
    async with scripted(events) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, tools=[TOOL])
    assert (reply.finish_reason, reply.choice["native_finish_reason"]) == ("tool_calls", "STOP")
    assert [call["function"]["name"] for call in reply.calls] == ["look"]


def twice(event: dict) -> dict:
    """Return *event* with its candidate a second time, as one of two that were asked for."""
    [one] = event["candidates"]
    return {**event, "candidates": [{**one, "index": 0}, {**one, "index": 1}]}


TEXT = [says({"text": f"{n} "}, finish="STOP") for n in range(4)]
CALLS = [says(calls("look", {"n": n}), finish="STOP") for n in range(3)]


@pytest.mark.parametrize(
    ("events", "choices", "reason"),
    [(TEXT, 1, "stop"), (CALLS, 1, "tool_calls"), ([twice(one) for one in TEXT], 2, "stop")],
    ids=["text", "calls", "two candidates"],
)
@pytest.mark.parametrize("streaming", [True])
async def test_each_choice_of_a_stream_ends_once_in_a_chunk_of_its_own(
    scripted, streaming, events, choices, reason
):
    """Gemini says STOP in every event; the client is told null until all has been said.

    Reported in BerriAI/litellm#31634, BerriAI/litellm#2195, one-api#1408, new-api#378,
    one-hub#402, one-hub#418.
    """
    async with scripted(events) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, tools=[TOOL], n=choices)
    for index in range(choices):
        said = [one for chunk in reply.chunks for one in chunk["choices"] if one["index"] == index]
        *before, last = said
        assert {one["finish_reason"] for one in before} == {None}
        assert (last["finish_reason"], last["delta"]) == (reason, {})
        assert len([one for one in before if len(one["delta"]) == 1]) == len(events)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([says(NOTHING, finish="STOP"), says({"text": "late"}), says(finish="STOP")], ["late"]),
        ([says(NOTHING, finish="STOP"), says({"text": "late"}, finish="STOP")], ["late"]),
        (
            [
                says(CODE, finish="STOP"),
                says(OUTPUT),
                says({"text": "It is 42."}),
                says(finish="STOP"),
            ],
            ["print(6 * 7)", "42", "It is 42."],
        ),
    ],
    ids=["text after an empty end", "text with a second end", "the output of code"],
)
async def test_what_comes_after_a_first_stop_is_delivered(scripted, streaming, events, said):
    """Reported in kelivo#1003; rig recorded it as `two_terminal_stream`."""
    async with scripted(events) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
    assert len(upstream.seen) == 1
    assert reply.finish_reason == "stop"
    places = [reply.text.find(one) for one in said]
    assert places[0] > -1
    assert places == sorted(places)


async def test_an_answer_may_end_with_code(scripted, streaming):
    """A stream of it had failed, the same answer in one piece had not."""
    async with scripted([says({"text": "So:"}), says(CODE, finish="STOP")]) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
    assert (reply.error, reply.finish_reason) == (None, "stop")
    assert reply.text == "So:\n\n```python\nprint(6 * 7)\n```\n"
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("cut", [RESET, CLOSE])
async def test_a_stream_that_breaks_off_behind_code_lost_its_output(running, cut):
    script = [SSE, chunk(data(says(CODE, finish="STOP"))), 0.05, cut]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        reply = await ask(gateway, streaming=True)
    assert (reply.finish_reason, reply.error["code"]) == (None, "upstream_stream_truncated")


async def test_the_last_reason_to_end_is_the_one_told(scripted, streaming):
    """Reported in kelivo#1003."""
    cut = [says({"text": "Once"}, finish="STOP"), says({"text": " upon"}, finish="MAX_TOKENS")]
    async with scripted(cut) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert (reply.text, reply.finish_reason) == ("Once upon", "length")


@pytest.mark.parametrize(
    "last",
    [[{"text": " and more"}], [{"text": " and more"}, calls("look")]],
    ids=["text", "text and a call"],
)
async def test_what_the_last_event_says_is_delivered(scripted, streaming, last):
    """Reported in req_llm#638."""
    async with scripted([says({"text": "Some"}), says(*last, finish="STOP")]) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, tools=[TOOL])
    assert reply.text == "Some and more"
    assert len(reply.calls) == len(last) - 1


THOUGHT_AWAY = {"promptTokenCount": 9, "thoughtsTokenCount": 91, "totalTokenCount": 100}


@pytest.mark.parametrize(
    "candidate",
    [{"content": {"role": "model"}}, {"content": {}}, {}, {"content": {"parts": []}}],
    ids=["no parts", "empty content", "no content", "empty parts"],
)
async def test_an_answer_cut_before_its_first_word_is_empty_and_counted(
    scripted, streaming, candidate
):
    """All tokens went into thinking.

    Reported in google/adk-python#1357, BerriAI/litellm#36881, googleapis/python-genai#811,
    llm-rosetta#153.
    """
    event = {
        "candidates": [{**candidate, "finishReason": "MAX_TOKENS", "index": 0}],
        "usageMetadata": THOUGHT_AWAY,
    }
    async with scripted([event]) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, max_tokens=91)
    assert (reply.status, reply.error, reply.finish_reason) == (200, None, "length")
    assert reply.message["content"] == ""
    assert reply.choice["finish_message"]
    assert (reply.usage["completion_tokens"], reply.usage["total_tokens"]) == (91, 100)
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    "feedback",
    [{"blockReason": "PROHIBITED_CONTENT"}, {"blockReason": "OTHER", "safetyRatings": []}],
    ids=["prohibited", "other"],
)
async def test_a_blocked_prompt_is_a_refusal_that_ends_as_any_answer(scripted, streaming, feedback):
    """A stream has its role and its [DONE], and the prompt is counted.

    Reported in BerriAI/litellm#20104, llm-gemini#80, vercel/ai#4236, vercel/ai#19758,
    hermes#85031, tracker#543.
    """
    blocked = {"promptFeedback": feedback, "usageMetadata": {**USAGE, "candidatesTokenCount": 0}}
    async with scripted([blocked]) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
    assert (reply.status, reply.finish_reason) == (200, "content_filter")
    assert reply.message["role"] == "assistant"
    assert feedback["blockReason"] in reply.message["refusal"]
    assert reply.usage["prompt_tokens"] == 3
    assert reply.done is streaming
    assert len(upstream.seen) == 1


NO_CANDIDATE = {"usageMetadata": USAGE, "modelVersion": "gemini-2.5-flash"}


@pytest.mark.parametrize("empty", [NO_CANDIDATE, says(finish="STOP")], ids=["nothing", "a stop"])
async def test_an_empty_answer_is_asked_for_once_more(scripted, streaming, empty):
    """Reported in deep-research#129, deprecated-generative-ai-python#744."""
    async with scripted([empty], [says({"text": "Yes"}, finish="STOP")]) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
    assert (reply.status, reply.text, reply.finish_reason) == (200, "Yes", "stop")
    first, second = upstream.seen
    assert first.body == second.body


async def test_an_answer_that_stays_empty_says_so(scripted, streaming):
    """It is asked for once more, and no oftener.

    Reported in deep-research#129, deprecated-generative-ai-python#744.
    """
    async with scripted([says(NOTHING, finish="STOP")]) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming)
    assert len(upstream.seen) == 2
    assert (reply.status, reply.finish_reason, reply.text) == (200, "stop", "")
    assert reply.choice["finish_message"] == "Gemini ended without any output."


@pytest.mark.parametrize("mode", ["chunk", "comment"])
@pytest.mark.parametrize(
    "thought",
    [[], [chunk(data(says({"text": "Hm", "thought": True})))]],
    ids=["before the first token", "while it thinks"],
)
async def test_a_proxy_never_sees_a_silent_stream(running, mode, thought):
    """Something comes before a silence gets long, also before the first token.

    Reported in BerriAI/litellm#37322, BerriAI/litellm#31877, claude-relay-service#678,
    llmgateway#1541.
    """
    pace = {"commit_after_s": 0.1, "keepalive_s": 0.1, "keepalive": mode}
    last = chunk(data(says({"text": "done"}, finish="STOP")))
    async with (
        ScriptedUpstream([SSE, *thought, STALL, last, END]) as upstream,
        running(settings_for(upstream.url, upstream=pace)) as gateway,
        gateway.post(stream=True, reasoning_effort="high") as response,
        asyncio.timeout(5),
    ):
        beats = 0
        while beats < 3:
            frame = await response.content.readuntil(b"\n\n")
            beats += frame.startswith(b":") if mode == "comment" else b'"delta":{}' in frame
        upstream.release.set()
        rest = await response.content.read()
    assert b"done" in rest
    assert rest.endswith(b"data: [DONE]\n\n")


def test_the_pace_kept_unless_told_otherwise_is_quick_enough_for_proxies():
    """Reported in BerriAI/litellm#31877, claude-relay-service#678."""
    upstream = settings_for("http://127.0.0.1").upstream
    assert upstream.commit_after_s <= 15
    assert upstream.keepalive_s <= 15
    assert upstream.keepalive != "off"
