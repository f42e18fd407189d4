"""What an answer used is told and booked; what a client sends again is taken."""

import asyncio

import pytest

from tests.faults.scripted import CLOSE, END, SSE, STALL, ScriptedUpstream, chunk, data, refusal
from tests.running import LICENSE, settings_for
from tests.symptoms.reply import ask, says

MODEL = "gemini-2.5-flash"
# USD for a million tokens.
PRICES = {"prices": {MODEL: {"input": 10.0, "cached": 1.0, "output": 100.0}}}
CACHED = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 900,
    "candidatesTokenCount": 2,
    "totalTokenCount": 1002,
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 900}],
}


async def test_cached_tokens_are_told_booked_and_cheap(scripted, ledger, streaming):
    """They are a part of the prompt, and only the rest of it has the full price.

    Reported in llmgateway#1447, litellm#10667, any-llm#794, Marinara#6218.
    """
    events = [says({"text": "H"}), {**says({"text": "i"}, finish="STOP"), "usageMetadata": CACHED}]
    async with scripted(events, models=PRICES, **ledger.settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert (reply.usage["prompt_tokens"], reply.usage["total_tokens"]) == (1000, 1002)
    assert reply.usage["prompt_tokens_details"]["cached_tokens"] == 900
    assert reply.usage["cost"] == pytest.approx((100 * 10 + 900 * 1 + 2 * 100) / 1_000_000)
    [row] = ledger.rows()
    assert [row[name] for name in ("prompt", "cached", "completion")] == [1000, 900, 2]
    assert row["audio_input"] is None, "nothing but text"
    assert row["cost_nanos"] == (100 * 10 + 900 * 1 + 2 * 100) * 1_000


def so_far(count: int) -> bytes:
    """Return the event of a stream in which *count* tokens were said."""
    counted = {"promptTokenCount": 7, "candidatesTokenCount": count, "totalTokenCount": 7 + count}
    return chunk(data({**says({"text": f"{count} "}), "usageMetadata": counted}))


BROKEN = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "Overloaded"}}
# How a stream may end too early, and what is booked of it.
CUTS = {
    "the client leaves": ([], None),
    "upstream closes": ([CLOSE], "upstream_stream_truncated"),
    "upstream tells of an error": ([chunk(data(BROKEN)), END], "overloaded"),
    "upstream falls silent": ([], "upstream_timeout"),
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_stream_that_is_cut_is_booked_with_the_counts_of_its_last_event(
    running, ledger, cut
):
    """What Gemini has said is paid for, whoever broke it off.

    Reported in new-api#1272, litellm#33736.
    """
    steps, code = CUTS[cut]
    settings = {
        "models": PRICES,
        "upstream": {"idle_timeout_s": 0.5 if cut == "upstream falls silent" else 5.0},
        **ledger.settings,
    }
    async with (
        # What comes next waits until the client has seen the beginning.
        ScriptedUpstream([SSE, so_far(1), so_far(2), so_far(5), STALL, *steps]) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        assert response.status == 200
        seen = await response.content.readuntil(b'"5 "')
        if steps:
            upstream.release.set()
        if code is None:
            response.close()
            await asyncio.wait_for(upstream.seen[0].gone.wait(), 4)
        else:
            seen += await response.read()
            assert f'"code":"{code}"'.encode() in seen
        assert b'"finish_reason":"' not in seen
    [row] = ledger.rows()
    assert [row[name] for name in ("prompt", "completion", "total")] == [7, 5, 12]
    assert row["cost_nanos"] == (7 * 10 + 5 * 100) * 1_000
    assert (row["model"], row["finish"], row["error"]) == (MODEL, None, code)


async def test_a_quota_in_usd_cannot_be_passed_by_with_a_model_that_nobody_priced(
    scripted, ledger, streaming
):
    """Other gateways book such use at nothing, and the quota is never spent."""
    license_ = {"id": "tester", "key": LICENSE, "usd_per_day": 5.0}
    settings = {"licenses": [license_], **ledger.settings}
    async with scripted([says({"text": "Hi"}, finish="STOP")], **settings) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, model="gemini-99-ultra")
        assert reply.status == 403
        assert (reply.error["code"], reply.error["param"]) == ("model_without_price", "model")
        assert reply.headers["x-should-retry"] == "false"
        assert not upstream.seen
        assert (await ask(gateway, streaming=streaming)).status == 200


# Below the border that its price has, each by itself.
LONG = {"promptTokenCount": 150_000, "candidatesTokenCount": 1_000, "totalTokenCount": 151_000}
BORDERED = {"input": 10.0, "output": 100.0, "long": {"above": 200_000, "input": 20, "output": 200}}


async def test_several_calls_of_one_request_make_no_long_prompt_together(
    scripted, ledger, streaming
):
    """This model gives one candidate a call, so three are asked."""
    model, answer = "gemini-3.7-flash", {**says({"text": "Hi"}, finish="STOP")}
    settings = {"models": {"prices": {model: BORDERED}}, **ledger.settings}
    async with scripted(*[[answer | {"usageMetadata": LONG}]] * 3, **settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, model=model, n=3)
    assert reply.usage["prompt_tokens"] == 450_000
    assert reply.usage["cost"] == pytest.approx(3 * (1.5 + 0.1))


async def test_a_long_prompt_has_its_own_price(scripted, ledger, streaming):
    longer = LONG | {"promptTokenCount": 200_001}
    settings = {"models": {"prices": {MODEL: BORDERED}}, **ledger.settings}
    answer = says({"text": "Hi"}, finish="STOP") | {"usageMetadata": longer}
    async with scripted([answer], **settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert reply.usage["cost"] == pytest.approx(4.000_02 + 0.2)
    [row] = ledger.rows()
    assert row["cost_nanos"] == 4_200_020_000


SEARCHED = {"webSearchQueries": ["weather oslo", "weather oslo today"], "groundingChunks": []}


async def test_searches_are_paid_for_too(scripted, ledger, streaming):
    prices = {"input": 10.0, "output": 100.0, "search_queries": 14.0, "search_prompts": 0}
    settings = {"models": {"prices": {MODEL: prices}}, **ledger.settings}
    answer = [says({"text": "Rain"}), says(finish="STOP", groundingMetadata=SEARCHED)]
    async with scripted(answer, **settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert reply.usage["cost"] == pytest.approx((3 * 10 + 2 * 100) / 1_000_000 + 2 * 0.014)
    [row] = ledger.rows()
    assert row["cost_nanos"] == 230_000 + 28_000_000


FOUND = {"webSearchQueries": ["pizza near me"], "groundingChunks": [{"maps": {"title": "Pizza"}}]}


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gemini-2.5-flash", (3 * 0.30 + 2 * 2.50) / 1_000_000 + 0.025),
        ("gemini-3.5-flash", (3 * 1.50 + 2 * 9.00) / 1_000_000 + 0.014),
    ],
)
async def test_places_cost_what_google_takes_for_them(scripted, ledger, streaming, model, usd):
    answer = [says({"text": "Joe's"}), says(finish="STOP", groundingMetadata=FOUND)]
    async with scripted(answer, **ledger.settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, model=model)
    assert reply.usage["cost"] == pytest.approx(usd)
    [row] = ledger.rows()
    assert row["cost_nanos"] == pytest.approx(usd * 1e9)
    assert row["searches"] == 1


async def test_videos_are_paid_for_as_videos(scripted, ledger, streaming):
    filmed = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1_000,
        "totalTokenCount": 1_010,
        "candidatesTokensDetails": [{"modality": "VIDEO", "tokenCount": 900}],
    }
    answer = [says({"text": "Here"}, finish="STOP") | {"usageMetadata": filmed}]
    async with scripted(answer, **ledger.settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, model="gemini-omni-1.1-flash")
    assert reply.usage["cost"] == pytest.approx((10 * 1.5 + 100 * 9 + 900 * 17.5) / 1_000_000)
    [row] = ledger.rows()
    assert (row["video_output"], row["image_output"], row["searches"]) == (900, 0, 0)


@pytest.mark.parametrize(("tier", "times"), [("standard", 1), ("flex", 0.5), ("priority", 1.8)])
async def test_a_tier_is_paid_for_as_the_one_that_served(scripted, ledger, streaming, tier, times):
    """Asked for as priority, a request may be served as standard, and costs no more then."""
    settings = {"models": {"prices": {MODEL: BORDERED}}, **ledger.settings}
    answer = says({"text": "Hi"}, finish="STOP") | {"usageMetadata": LONG | {"serviceTier": tier}}
    async with scripted([answer], **settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, service_tier="priority")
    assert reply.usage["cost"] == pytest.approx(times * 1.6)
    [row] = ledger.rows()
    assert row["cost_nanos"] == times * 1_600_000_000


async def test_the_cost_told_is_that_of_the_model_that_answered(scripted, ledger, streaming):
    settings = {
        "models": {
            "prices": {MODEL: {"input": 10.0, "output": 100.0}},
            "fallbacks": {"gemini-3.1-pro-preview": [MODEL]},
        },
        "upstream": {"max_attempts": 2},
        **ledger.settings,
    }
    busy = tuple(refusal(503, "UNAVAILABLE"))
    answer = [says({"text": "Hi"}, finish="STOP") | {"usageMetadata": LONG}]
    async with scripted(busy, answer, **settings) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, model="gemini-3.1-pro-preview")
    assert reply.headers["x-gateway-model"] == MODEL
    assert reply.usage["cost"] == pytest.approx(1.5 + 0.1)
    [row] = ledger.rows()
    assert row["cost_nanos"] == 1_600_000_000


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("gemini-3.6-flash", "gemini-3.6-flash"),
        ("models/gemini-3.6-flash", "gemini-3.6-flash"),
        ("models/gemini-flash-latest", None),
        ("strange\r\nname", None),
        (5, None),
    ],
)
async def test_a_name_that_google_redirects_is_told(scripted, streaming, version, told):
    """Recorded: gemini-flash-latest, and gemini-3-pro-preview once it was shut down."""
    answer = [says({"text": "Hi"}, finish="STOP") | {"modelVersion": version}]
    async with scripted(answer) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, model="gemini-flash-latest")
    assert reply.headers.get("x-gateway-model") == told


def user(*texts: str) -> dict:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def turn(role: str, *texts: str) -> dict:
    return {"role": role, "parts": [{"text": text} for text in texts]}


HI, MORE = {"role": "user", "content": "Hi"}, {"role": "user", "content": "More"}
NOTHING = turn("user", "Hi", "More")
# What a client sends, and the turns that go up.
REPLAYED: dict[str, tuple[list[dict], list[dict]]] = {
    "an empty answer": ([HI, {"role": "assistant", "content": ""}, MORE], [NOTHING]),
    "an answer of nothing": ([HI, {"role": "assistant", "content": None}, MORE], [NOTHING]),
    "an answer of no parts": ([HI, {"role": "assistant", "content": []}, MORE], [NOTHING]),
    "an answer of an empty part": ([HI, {**user(""), "role": "assistant"}, MORE], [NOTHING]),
    "an empty part beside another": (
        [HI, {**user("", "A"), "role": "assistant"}, user("More", "")],
        [turn("user", "Hi"), turn("model", "A"), turn("user", "More")],
    ),
    "an answer of thoughts alone": (
        [HI, {"role": "assistant", "content": "", "reasoning_content": "Hm"}, MORE],
        [NOTHING],
    ),
    "an empty question": ([HI, {"role": "user", "content": ""}], [turn("user", "Hi")]),
    "nothing but an empty question": ([{"role": "user", "content": ""}], [turn("user", " ")]),
    "questions one after another": ([HI, MORE], [NOTHING]),
    "answers one after another": (
        [HI, *({"role": "assistant", "content": text} for text in "AB"), MORE],
        [turn("user", "Hi"), turn("model", "A", "B"), turn("user", "More")],
    ),
    "an empty instruction": ([{"role": "system", "content": ""}, HI], [turn("user", "Hi")]),
}


@pytest.mark.parametrize("model", [MODEL, "gemini-3.7-flash"])
@pytest.mark.parametrize("name", REPLAYED)
async def test_no_empty_part_and_no_second_turn_in_a_row_goes_up(
    gateway, simulator, streaming, name, model
):
    """Turns of one role are one turn, and what says nothing is left out.

    Reported in pydantic-ai#3504, pi#2251, Portkey#258.
    """
    messages, contents = REPLAYED[name]
    reply = await ask(gateway, streaming=streaming, model=model, messages=messages)
    assert reply.status == 200, reply.error
    assert reply.text
    [received] = simulator.received
    assert received.body["contents"] == contents
    assert "systemInstruction" not in received.body


WELL, END_OF_IT = turn("model", "Well"), says({"text": ""}, finish="STOP")
SIGNED = {"text": "", "thoughtSignature": "c2lnbmVk"}
# What Gemini says, and the turns that go up when the client sends it again.
ANSWERS: dict[str, tuple[list[dict], list[dict]]] = {
    "nothing but an end": ([END_OF_IT], [NOTHING]),
    "an empty part at the end": (
        [says({"text": "Well"}), END_OF_IT],
        [turn("user", "Hi"), WELL, turn("user", "More")],
    ),
    "a signature on an empty part": (
        [says({"text": "Well"}), says(SIGNED, finish="STOP")],
        [
            turn("user", "Hi"),
            {"role": "model", "parts": [{"text": "Well"}, SIGNED]},
            turn("user", "More"),
        ],
    ),
    "a thought without a text": (
        [says({"text": "Hm", "thought": True}), says({"text": ""}, finish="MAX_TOKENS")],
        [NOTHING],
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_with_an_empty_part_can_be_sent_again(scripted, streaming, name):
    """An empty part goes back up only where it carries a signature beside what was said.

    Reported in pydantic-ai#3504.
    """
    events, contents = ANSWERS[name]
    async with scripted(events) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, messages=[HI])
        assert (reply.status, reply.error) == (200, None)
        messages = [HI, {"role": "assistant", "content": reply.text}, MORE]
        await ask(gateway, streaming=streaming, messages=messages)
    assert upstream.seen[-1].body["contents"] == contents
