"""Thought signatures reach Gemini again, whatever the client does with them."""

import base64
import itertools
import json

import pytest

from gateway.features import BYPASS
from tests.faults.scripted import refusal
from tests.running import settings_for
from tests.symptoms.reply import ask, calls, says

MODEL = "gemini-3.5-flash"
OTHER = "gemini-3-flash-preview"
PAINTER = "gemini-3-pro-image"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CAN_LOOK = {"model": MODEL, "tools": [TOOL]}
QUESTION = {"role": "user", "content": "Look"}
DRAW = {"role": "user", "content": "Draw"}
SIGNATURE = base64.b64encode(b"of an earlier turn").decode()


def plain(reply) -> dict:
    """Return the turn as a client sends it again that keeps the fields of OpenAI's API alone."""
    kept = [{key: call[key] for key in ("id", "type", "function")} for call in reply.calls]
    return {"role": "assistant", "content": reply.message.get("content"), "tool_calls": kept}


def results(reply) -> list[dict]:
    return [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in reply.calls]


def signed(call: dict) -> str:
    return call["extra_content"]["google"]["thought_signature"]


def sent_calls(body: dict) -> list[dict]:
    """Return the parts with function calls of a request that came upstream."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [part for part in parts if "functionCall" in part]


async def test_the_signature_of_a_call_comes_back_from_a_client_that_does_not_know_it(
    gateway, simulator, streaming
):
    """Both of two steps keep theirs.

    Reported in BerriAI/litellm#16893.
    """
    messages, signatures = [{"role": "user", "content": "2 steps: look"}], []
    for _ in range(2):
        reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
        signatures.append(signed(reply.calls[0]))
        messages += [plain(reply), *results(reply)]
    reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
    assert (reply.status, reply.finish_reason) == (200, "stop")
    sent = [part["thoughtSignature"] for part in sent_calls(simulator.received[-1].body)]
    assert sent == signatures


async def test_a_forgotten_signature_is_made_up_for_before_gemini_misses_it(
    running, simulator, streaming
):
    """A restarted gateway knows nothing of the call; of parallel ones Gemini signs the first only.

    Reported in langchain#37347, NVIDIA-NeMo/Gym#2374, FastGPT#6135, LangBot#1899, openhuman#3548,
    metapi#60, qwen-code#1187, gemini-balance#391.
    """
    question = {"role": "user", "content": "parallel: look"}
    async with running(settings_for(simulator.url)) as gateway:
        reply = await ask(gateway, streaming=streaming, messages=[question], **CAN_LOOK)
    messages = [question, plain(reply), *results(reply)]
    async with running(settings_for(simulator.url)) as gateway:
        reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
    assert reply.status == 200
    first, second = sent_calls(simulator.received[-1].body)
    assert first["thoughtSignature"] == BYPASS
    assert "thoughtSignature" not in second
    assert [one.status for one in simulator.received] == [200, 200]


def renamed(reply) -> list[dict]:
    """Return turn and results of a client that gives calls ids of its own."""
    for number, call in enumerate(reply.calls):
        call["id"] = f"renamed{number}"
    return [plain(reply), *results(reply)]


def nameless(reply) -> list[dict]:
    """Return turn and results of a client that keeps no ids."""
    turn = plain(reply)
    for call in turn["tool_calls"]:
        del call["id"]
    called = [call["function"]["name"] for call in reply.calls]
    return [turn, *({"role": "tool", "name": name, "content": "ok"} for name in called)]


def rewritten(reply) -> list[dict]:
    """Return turn and results of a client that gives ids of its own, and writes arguments anew."""
    turn, *others = renamed(reply)
    for call in turn["tool_calls"]:
        arguments = json.loads(call["function"]["arguments"])
        backwards = dict(reversed(arguments.items()))
        call["function"]["arguments"] = json.dumps(backwards, indent=2)
    return [turn, *others]


def step(number: int, count: int = 1) -> list[dict]:
    """Return one of several answers that make the same calls; only the first of them is signed."""
    signed_as = {"thoughtSignature": base64.b64encode(b"step %d" % number).decode()}
    made = [
        calls("look", {"b": 1, "a": "é"}, id=f"n{number}{at}", **({} if at else signed_as))
        for at in range(count)
    ]
    return [says(*made), says({"text": ""}, finish="STOP")]


@pytest.mark.parametrize("keep", [renamed, nameless, rewritten])
async def test_a_client_that_does_not_keep_ids_sends_every_signature(scripted, streaming, keep):
    """Those of a loop have equal names, arguments and results, and each has its own signature.

    Reported in qwen-code#1187.
    """
    steps = [step(0), step(1), step(2, count=2), step(3)]
    made = [part for one in steps for part in one[0]["candidates"][0]["content"]["parts"]]
    messages = [QUESTION]
    async with scripted(*steps, [says({"text": "Seen"}, finish="STOP")]) as (gateway, upstream):
        for _ in steps:
            reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
            messages += keep(reply)
        reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
    assert (reply.status, reply.text) == (200, "Seen")
    assert sent_calls(upstream.seen[-1].body) == made


@pytest.mark.parametrize("keep", [renamed, nameless])
async def test_gemini_accepts_the_calls_of_a_client_that_does_not_keep_ids(
    gateway, simulator, streaming, keep
):
    question = {"role": "user", "content": "parallel: look"}
    reply = await ask(gateway, streaming=streaming, messages=[question], **CAN_LOOK)
    signature = signed(reply.calls[0])
    messages = [question, *keep(reply)]
    reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
    assert (reply.status, reply.finish_reason) == (200, "stop")
    first, second = sent_calls(simulator.received[-1].body)
    assert (first["thoughtSignature"], "thoughtSignature" in second) == (signature, False)
    assert [one.status for one in simulator.received] == [200, 200]


FUNCTION = {"model": MODEL, "functions": [TOOL["function"]]}


async def test_a_call_of_another_conversation_does_not_lend_its_signature(
    gateway, simulator, streaming
):
    """Both look, without ids, and without arguments that would tell them apart."""
    asked = [
        [{"role": "user", "content": "Look"}],
        [{"role": "user", "content": "Look!"}],
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, QUESTION],
    ]
    first = asked[0]
    reply = await ask(gateway, streaming=streaming, messages=first, **CAN_LOOK)
    legacy = await ask(gateway, streaming=streaming, messages=first, **FUNCTION)
    old = {"role": "assistant", "content": None, "function_call": legacy.message["function_call"]}
    turns = nameless(reply), [old, {"role": "function", "name": "look", "content": "ok"}]
    for (turn, fields), messages in itertools.product(
        zip(turns, (CAN_LOOK, FUNCTION), strict=True), asked
    ):
        await ask(gateway, streaming=streaming, messages=[*messages, *turn], **fields)
        [part] = sent_calls(simulator.received[-1].body)
        assert (part["thoughtSignature"] == BYPASS) is (messages is not first)


@pytest.mark.parametrize("carries", [False, True], ids=["plain", "carried"])
async def test_a_conversation_goes_on_with_another_model(gateway, simulator, streaming, carries):
    """Its signatures are of no worth to the second model, which would refuse them each time.

    Reported in 9router#301, earendil-works/pi#471.
    """
    reply = await ask(
        gateway, streaming=streaming, messages=[QUESTION], **(CAN_LOOK | {"model": OTHER})
    )
    turn = reply.message if carries else plain(reply)
    messages = [QUESTION, turn, *results(reply)]
    reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
    assert (reply.status, reply.finish_reason) == (200, "stop")
    assert [one.status for one in simulator.received] == [200, 200]
    [part] = sent_calls(simulator.received[-1].body)
    assert part["thoughtSignature"] == BYPASS
    assert reply.headers["x-gateway-adjusted"] == "thought_signature=dropped;reason=other_model"


@pytest.mark.parametrize(
    ("model", "question"),
    [(MODEL, "echo yes"), (OTHER, "echo  yes"), ("gemini-2.5-flash", "echo  yes")],
)
async def test_a_short_answer_is_not_taken_for_that_of_another_conversation(
    gateway, simulator, streaming, model, question
):
    """One license, many conversations: a "yes" got the thoughts of another, or of another model."""
    first = {"role": "user", "content": "echo  yes"}
    reply = await ask(gateway, streaming=streaming, model=MODEL, messages=[first])
    history = [{"role": "user", "content": question}, {"role": "assistant", "content": reply.text}]
    reply = await ask(gateway, streaming=streaming, model=model, messages=[*history, QUESTION])
    assert reply.status == 200
    assert [one.status for one in simulator.received] == [200, 200]
    assert simulator.received[-1].body["contents"][1]["parts"] == [{"text": "yes"}]


@pytest.mark.parametrize(
    "message", ["Thought signature is not valid.", "Corrupted thought signature."]
)
async def test_a_conversation_goes_on_with_another_key(scripted, streaming, message):
    """Reported in 9router#301, earendil-works/pi#471."""
    call = calls("look", id="a1", thoughtSignature=SIGNATURE)
    called = [says(call), says({"text": ""}, finish="STOP")]
    refused = tuple(refusal(400, "INVALID_ARGUMENT", message))
    good = [says({"text": "Seen"}, finish="STOP")]
    async with scripted(called, refused, good, keys=("key-1", "key-2")) as (gateway, upstream):
        reply = await ask(gateway, streaming=streaming, messages=[QUESTION], **CAN_LOOK)
        messages = [QUESTION, plain(reply), *results(reply)]
        reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
    assert (reply.status, reply.text) == (200, "Seen")
    sent = [part["thoughtSignature"] for one in upstream.seen for part in sent_calls(one.body)]
    assert sent == [SIGNATURE, BYPASS]


async def test_a_signature_of_three_megabytes_goes_out_and_back_whole(
    gateway, simulator, streaming
):
    """Reported in BerriAI/litellm#30471."""
    question = {"role": "user", "content": "Look: signature of 3000000 bytes"}
    reply = await ask(gateway, streaming=streaming, messages=[question], **CAN_LOOK)
    signature = signed(reply.calls[0])
    assert len(base64.b64decode(signature)) == 3_000_000
    messages = [question, plain(reply), *results(reply)]
    reply = await ask(gateway, streaming=streaming, messages=messages, **CAN_LOOK)
    assert reply.status == 200
    [part] = sent_calls(simulator.received[-1].body)
    assert part["thoughtSignature"] == signature


@pytest.mark.parametrize("output", ["markdown", "images"])
@pytest.mark.parametrize("forgets", [False, True], ids=["remembered", "forgotten"])
async def test_a_drawn_image_is_signed_when_it_comes_back_to_be_edited(
    running, simulator, streaming, output, forgets
):
    """Reported in mscraftsman#147."""
    fields = {"model": PAINTER, "extra_body": {"google": {"image_output": output}}}
    settings = settings_for(simulator.url)
    async with running(settings) as gateway:
        reply = await ask(gateway, streaming=streaming, messages=[DRAW], **fields)
        kept = {
            name: reply.message[name] for name in ("content", "images") if name in reply.message
        }
        drawn = {"role": "assistant", **kept}
        messages = [DRAW, drawn, {"role": "user", "content": "Bigger"}]
        if not forgets:
            reply = await ask(gateway, streaming=streaming, messages=messages, **fields)
    if forgets:
        async with running(settings) as gateway:
            reply = await ask(gateway, streaming=streaming, messages=messages, **fields)
    assert reply.status == 200, reply.error
    assert ("images" in drawn) is (output == "images")
    parts = simulator.received[-1].body["contents"][1]["parts"]
    [sent] = [part["thoughtSignature"] for part in parts if "inlineData" in part]
    assert (sent == BYPASS) is forgets
    assert [one.status for one in simulator.received] == [200, 200]
