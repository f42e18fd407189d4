"""The calls in an assistant message, as Gemini made and signed them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.dialects.openai_chat import turns
from gateway.dialects.openai_chat.names import wire_name
from gateway.dialects.openai_chat.request import results
from gateway.dialects.openai_chat.translation import Translation
from gateway.dialects.shapes import is_shallow
from gateway.errors import BadRequest
from gateway.exchange import Json

# The fields of a message that hold calls.
FIELDS = frozenset({"tool_calls", "function_call"})


class Calls(NamedTuple):
    """The calls of one turn as *parts*, signed, and what is *known* of each."""

    parts: list[Json]
    known: list[Json | None]


def tool_calls(message: Json) -> list[Json]:
    """Return the calls of an assistant *message*; in the gateway's answers the legacy one leads."""
    legacy = message.get("function_call")
    return [*([{"function": legacy}] if legacy else ()), *(message.get("tool_calls") or ())]


def memory_key(call: Json) -> str | None:
    """Return the key under which the tool *call* of a client is remembered; None without an id."""
    call_id = call.get("id")
    return turns.call_key(turns.split_id(call_id)[0]) if call_id else None


def lost_keys(messages: Sequence[Json], index: int, memories: Mapping[str, bytes]) -> list[str]:
    """Return other keys of the calls at *index* whose ids are not among the *memories*."""
    keys = map(memory_key, tool_calls(messages[index]))
    lost = [place for place, key in enumerate(keys) if key not in memories]
    return _nameless_keys(messages, index, lost) if lost else []


def _nameless_keys(messages: Sequence[Json], index: int, places: Iterable[int]) -> list[str]:
    """Return the keys of the calls at these *places* of the message at *index* that need no id."""
    calls, occasion = tool_calls(messages[index]), turns.occasion(messages, index)
    keys = []
    for place in places:
        name, arguments = _called(calls[place])
        keys.append(turns.nameless_key(occasion, place, wire_name(name), arguments))
    return keys


def signed(translation: Translation, message: Json, index: int, by_call: dict[str, str]) -> Calls:
    """Return the calls of the *message* at *index* as Gemini made them."""
    known = _remembered(translation, message, index)
    pairs = zip(tool_calls(message), known, strict=True)
    return Calls([_call(translation, call, memory, by_call) for call, memory in pairs], known)


def _remembered(translation: Translation, message: Json, index: int) -> list[Json | None]:
    """Return what is known of each call of the *message* at *index*."""
    memories = translation.known.memories
    calls = tool_calls(message)
    if not memories:
        return [None] * len(calls)
    entries = [turns.read_entry(memories, memory_key(call)) for call in calls]
    lost = [place for place, entry in enumerate(entries) if entry is None]
    if lost:
        keys = _nameless_keys(translation.payload["messages"], index, lost)
        for place, key in zip(lost, keys, strict=True):
            entries[place] = turns.read_entry(memories, key)
    return entries


def _call(
    translation: Translation, call: Json, memory: Json | None, by_call: dict[str, str]
) -> Json:
    name, args = _called(call)
    call_id = turns.split_id(call.get("id") or "")[0]
    native: Json = {"name": wire_name(name), "args": args}
    # An id is sent back exactly if the call came with one; if that is unknown, to models whose
    # calls all have one.
    if memory is not None:
        native_id = memory.get("i")
    else:
        native_id = call_id if translation.can.call_ids else None
    if native_id:
        native = {"id": native_id, **native}
    part: Json = {"functionCall": native}
    if memory is None or turns.is_from_model(memory, translation.name.base):
        signature = (memory or {}).get("s") or turns.carried_signature(call) or by_call.get(call_id)
        if signature:
            part["thoughtSignature"] = signature
    elif "s" in memory:
        translation.notes.adjust("thought_signature", "dropped", "other_model")
    return part


def _called(call: Json) -> tuple[str, Json]:
    """Return the name of a client's *call*, and its arguments as Gemini takes them."""
    if call.get("type") == "custom":
        return call["custom"]["name"], {"input": call["custom"].get("input") or ""}
    return call["function"]["name"], _arguments(call["function"].get("arguments"))


def _arguments(arguments: Any) -> Json:
    """Return the arguments of a call as an object, which Gemini expects."""
    if not isinstance(arguments, str | None):
        if not is_shallow(arguments):
            raise BadRequest("These arguments are nested too deeply.", param="messages")
        return arguments if isinstance(arguments, dict) else {"input": arguments}
    if not arguments:
        return {}
    value = results.parse_object(arguments)
    if value is not None:
        return value
    return {"input": arguments} if arguments.strip() else {}
