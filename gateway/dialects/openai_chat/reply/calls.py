"""Function calls: Gemini's `functionCall` parts as OpenAI's tool calls."""

from hashlib import blake2b

import orjson

from gateway.dialects.openai_chat.reply import partial
from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.exchange import Json

# How OpenAI's ids begin, and the longest that its API takes.
_ID_PREFIX = "call_"
_LONGEST_ID = 40


def function_call(choice: Choice, part: Json) -> list[Json]:
    """Return the delta of one call: index, id, name and whole arguments at once.

    Clients join deltas with the same index, start a new call at every id and drop a call without
    one.
    """
    call = part["functionCall"]
    deltas = last_call(choice) if call.get("name") else []
    if partial.is_piece(call):
        if choice.pending is None and not call.get("name"):
            return choice.native(part) if call else []
        partial.take(choice, part)
        return deltas if call.get("willContinue") else last_call(choice)
    return [*deltas, *_whole(choice, part)]


def last_call(choice: Choice) -> list[Json]:
    """Return the delta of the call whose pieces were still arriving, if there is one."""
    part, choice.pending = choice.pending, None
    return [] if part is None else _whole(choice, part)


def _whole(choice: Choice, part: Json) -> list[Json]:
    call = part["functionCall"]
    arguments = call.get("args") or {}
    if not isinstance(call["name"], str) or not isinstance(arguments, dict):
        raise TypeError("a call has a name, and an object of arguments")
    choice.add_part(part)
    name = choice.options.function_names.get(call["name"], call["name"])
    if choice.options.legacy_functions and not choice.calls:
        choice.calls.append({"function": name})
        text = orjson.dumps(arguments).decode()
        return [{"function_call": {"name": name, "arguments": text}}]
    call_id = _call_id(choice, call.get("id"))
    choice.call_ids.add(call_id)
    tool_call: Json = {
        "index": len(choice.calls),
        "id": call_id,
        **_typed(choice, name, arguments),
    }
    signature = part.get("thoughtSignature")
    if signature:
        tool_call["extra_content"] = {"google": {"thought_signature": str(signature)}}
    choice.calls.append(tool_call)
    return [{"tool_calls": [tool_call]}]


def _typed(choice: Choice, name: str, arguments: Json) -> Json:
    if name in choice.options.custom_tools:
        return {"type": "custom", "custom": {"name": name, "input": _free_text(arguments)}}
    text = orjson.dumps(arguments).decode()
    return {"type": "function", "function": {"name": name, "arguments": text}}


def _free_text(arguments: Json) -> str:
    """Return the one string that a free-text tool was called with."""
    values = list(arguments.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return orjson.dumps(arguments).decode()


def _call_id(choice: Choice, native: str | None) -> str:
    """Return *native* in OpenAI's form if no other call of the conversation has it, else a new id.

    Clients such as Agno replace other ids, so that the returned call would be unknown. A new id
    is made from the exchange, not at random: the same events always give the same answer. The
    number of earlier calls counts, because a client may send one request id again and again.
    """
    used = choice.call_ids
    earlier = choice.options.earlier_call_ids
    if native:
        call_id = native if native.startswith(_ID_PREFIX) else _ID_PREFIX + native
        if len(call_id) <= _LONGEST_ID and call_id not in used and call_id not in earlier:
            return call_id
    seed = f"{choice.options.exchange_id}/{choice.options.created}/{len(earlier)}"
    number = len(choice.calls)
    while True:
        digest = blake2b(f"{seed}/{choice.index}/{number}".encode(), digest_size=12)
        call_id = f"{_ID_PREFIX}{digest.hexdigest()}"
        if call_id not in used and call_id not in earlier:
            return call_id
        number += 1
