"""A request in one line: what goes up, and what was noted."""

from gateway.dialects.openai_chat import DIALECT
from gateway.exchange import Known, Notes


def ask(payload=None, *, media=None, memories=None, refusals=frozenset(), safety=None, **fields):
    """Return the call and the notes of a checked payload; a short question unless told otherwise."""
    payload = {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "Hi"}],
        **(payload or {}),
        **fields,
    }
    DIALECT.check(payload)
    known = Known(
        exchange_id="x",
        media={} if media is None else media,
        memories=memories or {},
        refusals=refusals,
        safety=safety,
    )
    notes = Notes()
    return DIALECT.call(payload, known, notes), notes


def body(**fields):
    return ask(**fields)[0].body


def contents(*messages, **fields):
    return body(messages=list(messages), **fields)["contents"]


def user(content):
    return {"role": "user", "content": content}


def assistant(content=None, *calls, **fields):
    message = {"role": "assistant", "content": content, **fields}
    if calls:
        message["tool_calls"] = list(calls)
    return message


def call(call_id, name, arguments="{}", **fields):
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **fields}


def result(call_id, content):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def function(name="f", parameters=None, **fields):
    declaration = {"name": name, **fields}
    if parameters is not None:
        declaration["parameters"] = parameters
    return {"type": "function", "function": declaration}


OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}
