"""Tool calls and their results: each one whole, told apart, and answered as Gemini demands."""

import json

import pytest

from tests.faults.scripted import ScriptedUpstream, answer, refusal, stream
from tests.running import settings_for
from tests.symptoms.reply import ask, calls, says

OLD, NEW = "gemini-2.5-flash", "gemini-3.7-flash"
NAMES = ("look", "listen")
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in NAMES
]
QUESTION = {"role": "user", "content": "Look"}
DONE = says({"text": "Done"}, finish="STOP")
STOP = says(finish="STOP")


def call(call_id: str, name: str = "look", arguments: str = "{}") -> dict:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def turn(*tool_calls: dict) -> dict:
    return {"role": "assistant", "content": None, "tool_calls": list(tool_calls)}


def result(call_id: str, text: str = "ok") -> dict:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def again(reply) -> dict:
    """Return the turn that was *reply* as a client of OpenAI's API sends it again."""
    return turn(*({key: one[key] for key in ("id", "type", "function")} for one in reply.calls))


def sent(body: dict, kind: str) -> list[dict]:
    """Return what stands under *kind* in the parts of a request that came upstream."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [part[kind] for part in parts if kind in part]


THREE = [calls("look", {"at": text}) for text in ("a", 'b"}{"', "c")]


@pytest.mark.parametrize(
    "events",
    [
        [says(*THREE, finish="STOP")],
        [*(says(one) for one in THREE), STOP],
        [says(*THREE[:2]), says({"text": "and"}), says(THREE[2], finish="STOP")],
    ],
    ids=["in one event", "one by one", "around text"],
)
async def test_parallel_calls_are_entries_of_their_own(scripted, streaming, events):
    """A client that joins arguments by index gets one JSON object for each.

    Reported in hermes#62937.
    """
    async with scripted(events) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, messages=[QUESTION], tools=TOOLS)
    assert [json.loads(one["function"]["arguments"])["at"] for one in reply.calls] == [
        "a",
        'b"}{"',
        "c",
    ]
    assert len({one["id"] for one in reply.calls}) == 3
    if streaming:
        assert [one["index"] for one in reply.calls] == [0, 1, 2]


SAME = {
    "no ids": [calls("look"), calls("look")],
    "one id for both": [calls("look", id="a1"), calls("look", id="a1")],
    "an id each": [calls("look", id="a1"), calls("look", id="a2")],
}


@pytest.mark.parametrize("name", SAME)
async def test_no_two_calls_of_a_conversation_share_an_id(scripted, streaming, name):
    """Gemini says the same in every turn; each result finds its call, and Gemini's id comes back.

    Reported in eino-ext#652, TanStack/ai#199, brainlid/langchain#620, hermes#57939,
    cherry-studio#16921.
    """
    parts = SAME[name]
    messages, seen = [QUESTION], []
    async with scripted([says(*parts, finish="STOP")]) as (gateway, upstream):
        for _ in range(3):
            reply = await ask(
                gateway, streaming=streaming, model=NEW, messages=messages, tools=TOOLS
            )
            seen += [one["id"] for one in reply.calls]
            # The results come in the other order.
            answers = [result(one["id"], one["id"]) for one in reversed(reply.calls)]
            messages = [*messages, again(reply), *answers]
    assert len(set(seen)) == len(seen) == 6
    body = upstream.seen[-1].body
    native = [one["functionCall"].get("id") for one in parts] * 2
    assert [one.get("id") for one in sent(body, "functionCall")] == native
    responses = sent(body, "functionResponse")
    assert [one.get("id") for one in responses] == native
    assert [one["response"] for one in responses] == [{"output": one} for one in seen[:4]]


async def test_a_history_that_uses_one_id_in_every_turn_keeps_its_results_apart(
    scripted, streaming
):
    """Another gateway made it; the next call still gets an id of its own.

    Reported in eino-ext#652, hermes#57939.
    """
    messages = [QUESTION]
    for text in ("first", "second"):
        messages += [turn(call("call_0"), call("call_1")), result("call_1", f"{text} 1")]
        messages += [result("call_0", f"{text} 0")]
    event = says(calls("look", id="call_0"), finish="STOP")
    async with scripted([event]) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, model=NEW, messages=messages, tools=TOOLS)
    responses = [
        one["response"]["output"] for one in sent(upstream.seen[0].body, "functionResponse")
    ]
    assert responses == ["first 0", "first 1", "second 0", "second 1"]
    [tool_calls] = reply.calls
    assert tool_calls["id"] not in {"call_0", "call_1"}


BROKEN = {
    "a result is missing": [turn(call("1"), call("2", "listen")), result("1")],
    "no result at all, and the user goes on": [
        turn(call("1")),
        {"role": "user", "content": "Never mind"},
    ],
    "the calls are the last turn": [turn(call("1"))],
    "a result too many": [turn(call("1")), result("1"), result("1", "again")],
    "a result of an unknown call": [turn(call("1")), result("1"), result("7")],
    "results without any call": [result("1"), result("2")],
    "a call was cut out of the history": [
        {"role": "assistant", "content": "I look."},
        result("1"),
        {"role": "user", "content": "And?"},
    ],
    "one id for two calls": [
        turn(call("1"), call("1", "listen")),
        result("1"),
        result("1"),
        result("1"),
    ],
    "a call of the former kind without a result": [
        {"role": "assistant", "content": None, "function_call": call("")["function"]},
        {"role": "user", "content": "Never mind"},
    ],
    "results in another order": [
        turn(call("1"), call("2", "listen")),
        result("2"),
        result("1"),
    ],
    "results after a word of the user": [
        turn(call("1"), call("2", "listen")),
        result("1"),
        {"role": "user", "content": "Hurry"},
        result("2"),
    ],
    "the question was cut out of the history": [turn(call("1")), result("1")],
}


# What was only put in order is no change that anybody must be told of.
UNTOLD = {
    "results in another order",
    "results after a word of the user",
    "the question was cut out of the history",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_calls_and_results_that_do_not_match_are_made_to(gateway, simulator, name):
    """A strict upstream takes the repaired request at the first try.

    Reported in gemini-cli#16543, gemini-cli#5443, gemini-cli#3814, vscode#299295.
    """
    before = [] if name == "the question was cut out of the history" else [QUESTION]
    fields = {"messages": [*before, *BROKEN[name]], "tools": TOOLS}
    for model in (OLD, NEW):
        reply = await ask(gateway, streaming=False, model=model, **fields)
        assert reply.status == 200, reply.error
        assert ("x-gateway-adjusted" in reply.headers) is (name not in UNTOLD)
    assert [one.status for one in simulator.received] == [200, 200]
    for one in simulator.received:
        function_calls, answered = (
            sent(one.body, "functionCall"),
            sent(one.body, "functionResponse"),
        )
        assert [call["name"] for call in function_calls] == [
            response["name"] for response in answered
        ]


async def test_a_result_names_the_id_of_its_call(gateway, simulator, streaming):
    """The models that demand it get it.

    Reported in remix-studio#35.
    """
    fields = {"model": NEW, "tools": TOOLS}
    reply = await ask(gateway, streaming=streaming, messages=[QUESTION], **fields)
    [tool_calls] = reply.calls
    messages = [QUESTION, again(reply), result(tool_calls["id"])]
    reply = await ask(gateway, streaming=streaming, messages=messages, **fields)
    assert reply.status == 200, reply.error
    body = simulator.received[-1].body
    [one], [other] = sent(body, "functionCall"), sent(body, "functionResponse")
    assert one["id"] == other["id"] == tool_calls["id"].removeprefix("call_")


async def test_a_model_without_ids_is_sent_none(gateway, simulator, streaming):
    """Reported in gemini-cli#13972."""
    fields = {"model": OLD, "tools": TOOLS}
    reply = await ask(gateway, streaming=streaming, messages=[QUESTION], **fields)
    messages = [QUESTION, again(reply), result(reply.calls[0]["id"])]
    reply = await ask(gateway, streaming=streaming, messages=messages, **fields)
    assert reply.status == 200, reply.error
    body = simulator.received[-1].body
    held = sent(body, "functionCall") + sent(body, "functionResponse")
    assert len(held) == 2
    assert not any("id" in one for one in held)


@pytest.mark.parametrize("kind", ["function_call", "function_response"])
async def test_a_route_that_refuses_ids_is_asked_without_them(scripted, streaming, kind):
    """The conversation began with a model that gives ids, and the next request is right at once.

    Reported in gemini-cli#13972.
    """
    message = (
        f'Invalid JSON payload received. Unknown name "id" at contents[1].parts[0].{kind}:'
        " Cannot find field."
    )
    refused = tuple(refusal(400, "INVALID_ARGUMENT", message))
    called = [says(calls("look", id="a1"), finish="STOP")]
    async with scripted(called, refused, [DONE]) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, model=NEW, messages=[QUESTION], tools=TOOLS)
        messages = [QUESTION, again(reply), result(reply.calls[0]["id"])]
        for _ in range(2):
            reply = await ask(
                gateway, streaming=streaming, model=OLD, messages=messages, tools=TOOLS
            )
            assert (reply.status, reply.text) == (200, "Done")
    assert len(upstream.seen) == 4
    with_ids, *without = (
        [
            "id" in one
            for kind in ("functionCall", "functionResponse")
            for one in sent(seen.body, kind)
        ]
        for seen in upstream.seen[1:]
    )
    assert with_ids == [True, True]
    assert without == [[False, False], [False, False]]


SLIP = says(finish="MALFORMED_FUNCTION_CALL", finishMessage="Malformed function call: look(")
LOOKED = [says(calls("look", {"at": "it"}), finish="STOP")]


async def test_a_malformed_call_is_asked_for_once_more_with_a_hint(scripted, streaming):
    """Reported in epam#490, epam#325, hermes#83882, hermes#83886, vellum#43134, any-llm#1202."""
    async with scripted([SLIP], LOOKED) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, tools=TOOLS)
    assert (reply.status, reply.finish_reason) == (200, "tool_calls")
    assert reply.headers["x-gateway-adjusted"] == "system=hinted;reason=malformed_function_call"
    first, second = (one.body for one in upstream.seen)
    [hint] = second.pop("systemInstruction")["parts"]
    assert "JSON" in hint["text"]
    assert second == first


@pytest.mark.parametrize("committed", [False, True], ids=["at once", "committed before"])
async def test_a_call_that_stays_malformed_is_told(running, streaming, committed):
    """What has begun cannot be asked for again, but its end is told all the same.

    Reported in epam#490, epam#325, hermes#83882, hermes#83886, vellum#43134, any-llm#1202.
    """
    slip = stream(SLIP) if streaming else answer(200, SLIP)
    pace = {"commit_after_s": 0.05 if committed else 5.0}
    async with (
        ScriptedUpstream([0.3, *slip] if committed else slip) as upstream,
        running(settings_for(upstream.url, upstream=pace)) as gateway,
    ):
        reply = await ask(gateway, streaming=streaming, tools=TOOLS)
    assert len(upstream.seen) == (1 if committed and streaming else 2)
    assert (reply.status, reply.error, reply.finish_reason) == (200, None, "stop")
    assert reply.choice["native_finish_reason"] == "MALFORMED_FUNCTION_CALL"
    assert reply.choice["finish_message"] == "Malformed function call: look("
    assert reply.usage["prompt_tokens"] == 3


REFERENCES = [
    '{"$ref": "#/definitions/Pet"}',
    '{"schema": {"properties": {"pet": {"$ref": "#/$defs/Pet"}}}}',
    '[{"$ref": "a"}]',
    r'{"\u0024ref": "a"}',
]


@pytest.mark.parametrize("text", REFERENCES)
async def test_a_result_with_a_reference_is_sent_as_text(gateway, simulator, text):
    """Gemini would take it for the name of a file.

    Reported in hermes#100441.
    """
    response = await response_to(gateway, simulator, text)
    assert response == {"output": text}


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("sunny", {"output": "sunny"}),
        ("", {"output": ""}),
        ("{broken", {"output": "{broken"}),
        ("[1, 2]", {"output": "[1, 2]"}),
        ("5", {"output": "5"}),
        ("null", {"output": "null"}),
        ('{"a": NaN}', {"output": '{"a": NaN}'}),
        ('{"sky": "blue"}', {"sky": "blue"}),
        (r'{"say": "\"$ref\": no key"}', {"say": '"$ref": no key'}),
        ([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}], None),
    ],
    ids=repr,
)
async def test_a_result_of_any_text_is_taken(gateway, simulator, text, response):
    """Reported in openai-gemini, which answers 400."""
    wanted = response or {"output": "in \nparts"}
    assert await response_to(gateway, simulator, text) == wanted


async def response_to(gateway, simulator, text: str | list) -> dict:
    """Return what Gemini is told when the tool's result is *text*."""
    messages = [QUESTION, turn(call("1")), result("1", text)]
    reply = await ask(gateway, streaming=False, model=OLD, messages=messages, tools=TOOLS)
    assert reply.status == 200, reply.error
    assert [one.status for one in simulator.received] == [200]
    [one] = sent(simulator.received[-1].body, "functionResponse")
    return one["response"]
