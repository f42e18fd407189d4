"""Recorded turns come back to Gemini as they were, in whatever form a client keeps them."""

import json

import pytest
from openai.types.chat import ChatCompletion

from gateway.errors import UpstreamError
from tests.gateway.dialects.openai_chat.asking import ask, result, user
from tests.gateway.dialects.openai_chat.recorded import SHARED, replies
from tests.gateway.dialects.openai_chat.replying import make_reply, run

# It takes signatures back, and is sent none in their place.
MODEL = "gemini-2.5-flash"
QUESTION = user("Please do what you can with the tools at hand.")


def dumped(message):
    """Return *message* as OpenAI's SDK keeps it, nulls included."""
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}
    facts = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return ChatCompletion.model_validate({**facts, "choices": [choice]}).choices[0].message


def core(message):
    """Return what every client keeps of *message*."""
    kept = {"role": "assistant", "content": message["content"]}
    if "tool_calls" in message:
        fields = ("id", "type", "function")
        kept["tool_calls"] = [{n: call[n] for n in fields} for call in message["tool_calls"]]
    return kept


def in_parts(message):
    kept = core(message)
    if kept["content"]:
        kept["content"] = [{"type": "text", "text": kept["content"]}]
    return kept


KEPT = {
    "as it came": lambda message: message,
    "dumped": lambda message: dumped(message).model_dump(),
    "dumped without nulls": lambda message: dumped(message).model_dump(exclude_none=True),
    "core": core,
    "reversed": lambda message: dict(reversed(core(message).items())),
    "in parts": in_parts,
}


def native_turn(events):
    """Return Gemini's parts without thoughts, neighbouring plain texts joined."""
    turn = []
    candidates = [c for one in events for c in one.get("candidates") or () if not c.get("index")]
    for part in [p for c in candidates for p in (c.get("content") or {}).get("parts") or ()]:
        is_plain = part.keys() == {"text"}
        if is_plain and turn and turn[-1].keys() == {"text"}:
            turn[-1] = {"text": turn[-1]["text"] + part["text"]}
        elif not part.get("thought") and not (is_plain and not part["text"]):
            turn.append(part)
    # No arguments are an empty object, too.
    return [
        {**part, "functionCall": {"args": {}, **part["functionCall"]}}
        if "functionCall" in part
        else part
        for part in turn
    ]


def answered(events, *, stream):
    """Return the message that *events* are, and what is remembered; None for one without text."""
    reply = make_reply({"model": MODEL, "messages": [QUESTION]}, stream=stream)
    try:
        answer = reply.collect(run(reply, events))
    except UpstreamError:
        return None
    message = json.loads(json.dumps(answer["choices"][0]["message"]))
    if not (message["content"] or message.get("tool_calls")):
        return None
    return message, dict(reply.memories())


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded replies are not in this checkout")
@pytest.mark.parametrize("stream", [False, True])
def test_every_recorded_turn_comes_back_as_it_was(stream):
    returned = 0
    for name, events in replies():
        # Pieces of calls are joined, which is looked at in `test_partial.py`.
        is_in_pieces = "willContinue" in json.dumps(events)
        found = None if is_in_pieces else answered(events, stream=stream)
        if found is None:
            continue
        message, memories = found
        results = [result(call["id"], "ok") for call in message.get("tool_calls", ())]
        for how, keep in KEPT.items():
            messages = [QUESTION, keep(message), *(results or [user("More")])]
            call, _ = ask(model=MODEL, messages=messages, memories=memories)
            assert call.body["contents"][1]["parts"] == native_turn(events), (name, how)
            returned += 1
    assert returned > 4_900
