"""What the tests of the reply side share: events to feed and a reply to feed them to."""

import orjson

from gateway.dialects.openai_chat.reply import ChatReply
from gateway.exchange import Known, UpstreamCall


def make_reply(payload=None, *, thoughts=True, stream=True, names=None, **known):
    """Return the reply to a request of *payload*, made of these fields of `Known`."""
    config = {"thinkingConfig": {"includeThoughts": True}} if thoughts else {}
    payload = {"model": "gemini-2.5-flash", "messages": [], **(payload or {})}
    call = UpstreamCall(
        payload["model"], {"generationConfig": config}, stream=stream, names=names or {}
    )
    return ChatReply(
        call, payload, Known(**{"exchange_id": "x1", "created": 1_700_000_000, **known})
    )


def event(*parts, index=None, **candidate):
    """Return an event whose one candidate says *parts*; a string is a text part."""
    content = {"role": "model"}
    if parts:
        content["parts"] = [{"text": part} if isinstance(part, str) else part for part in parts]
    if index is not None:
        candidate["index"] = index
    return {"candidates": [{"content": content, **candidate}]}


def run(reply, events):
    """Return all chunks of the reply that *events* are."""
    return reply.feed(*events) + reply.finish()


def frames(data):
    """Return the objects that the frames *data* hold."""
    assert data.endswith(b"\n\n")
    return [orjson.loads(one.removeprefix(b"data: ")) for one in data[:-2].split(b"\n\n")]


def stop(*parts, **candidate):
    """Return the event that ends a reply."""
    return event(*parts, finishReason="STOP", **candidate)


def deltas(chunks, index=0):
    """Return what *chunks* add to the choice *index*, the role and the end left out."""
    found = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]
    return [c["delta"] for c in found if c["delta"] and "role" not in c["delta"]]


def whole(events, payload=None, **known):
    """Return the whole answer that *events* are."""
    reply = make_reply(payload, **known)
    return reply.collect(run(reply, events))


def message(events, payload=None, **known):
    """Return the message of the only choice that *events* are."""
    [choice] = whole(events, payload, **known)["choices"]
    return choice["message"]
