"""What the next turn needs of this one, for clients that send back only what OpenAI's API knows.

Gemini wants its own parts back: thought signatures on calls, text, code and images, code and its
output as code. The reply side makes entries, the request side asks for them by what the client
sends again: the id of a tool call, or the text of the answer. Entries:

    call/<id>      {"s": signature, "i": native id, "t": turn}, each absent if there was none
    text/<digest>  turn = [part, ...]; {"call": n} is its n-th function call,
                   {"image": n, "s": ...} the n-th image of the client's own text

A turn without visible text is kept with its first call.

An answer of plain text without a signature needs no entry.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from gateway.exchange import Json

_THOUGHT_ID = "__thought__"


def call_key(call_id: str) -> str:
    """Give the key of the tool call that the client knows as *call_id*."""
    return "call/" + (call_id if len(call_id) <= 128 else _digest(call_id))


def legacy_key(name: str, arguments: Any) -> str:
    """Give the key of a `function_call`, which has no id."""
    told = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()
    return "call/" + _digest(f"{name}\n{told}")


def text_key(text: str) -> str | None:
    """Give the key of the answer whose visible *text* this is; None for an empty one."""
    text = text.strip()
    return "text/" + _digest(text) if text else None


def records(parts: Sequence[Json], content: str, calls: Sequence[Json]) -> list[tuple[str, bytes]]:
    """Give the entries of one finished choice.

    *parts* are Gemini's own in order, without thoughts; *content* is all of the visible text that
    the client got; *calls* are its tool calls in the order of the `functionCall` parts.
    """
    entries: list[tuple[str, bytes]] = []
    text = text_key(content)
    turn = list(_compact(parts)) if any(map(_is_special, parts)) else None
    native_calls = [part for part in parts if "functionCall" in part]
    for part, call in zip(native_calls, calls, strict=False):
        native = part["functionCall"]
        key = call_key(call["id"]) if call.get("id") else None
        key = key or legacy_key(native["name"], native.get("args") or {})
        facts = {"s": part.get("thoughtSignature"), "i": native.get("id")}
        if text is None and not entries:
            facts["t"] = turn
        entries.append((key, orjson.dumps({k: v for k, v in facts.items() if v})))
    if text is not None and turn is not None:
        entries.append((text, orjson.dumps(turn)))
    return entries


def _is_special(part: Json) -> bool:
    if "functionCall" in part:
        return False
    return "thoughtSignature" in part or "text" not in part


def _compact(parts: Iterable[Json]) -> Iterator[Json]:
    calls = images = 0
    for part in parts:
        if "functionCall" in part:
            yield {"call": calls}
            calls += 1
        elif "inlineData" not in part:
            yield part
        elif str(part["inlineData"].get("mimeType")).startswith("image/"):
            # The client sends the image again; only its place and signature are kept.
            yield {"image": images, **_signed(part)}
            images += 1


def _signed(part: Json) -> Json:
    signature = part.get("thoughtSignature")
    return {"s": signature} if signature else {}


def restore(
    entry: Sequence[Json], calls: Sequence[Json], images: Sequence[Json]
) -> list[Json] | None:
    """Give the parts of the turn that *entry* remembers; None if the client changed it.

    *calls* and *images* are the parts made of what the client sent.
    """
    parts: list[Json] = []
    used = 0
    for part in entry:
        if "call" in part:
            parts += calls[part["call"] : part["call"] + 1]
            used += 1
        elif "image" in part:
            if part["image"] >= len(images):
                return None
            signature = {"thoughtSignature": part["s"]} if "s" in part else {}
            parts.append({**images[part["image"]], **signature})
        else:
            parts.append(part)
    return parts + list(calls[used:])


def read(memories: Mapping[str, bytes], key: str | None) -> Any:
    """Give the remembered value of *key*; None when it is not known or cannot be read."""
    value = memories.get(key) if key else None
    try:
        return orjson.loads(value) if value is not None else None
    except orjson.JSONDecodeError:
        return None


def split_id(call_id: str) -> tuple[str, str | None]:
    """Give the id proper and the signature that some clients carry behind it."""
    head, mark, signature = call_id.partition(_THOUGHT_ID)
    return head, signature if mark else None


def carried(call: Json) -> str | None:
    """Give the signature that the client carries on a tool *call*."""
    google = _dict(_dict(call.get("extra_content")).get("google"))
    provider = _dict(call.get("provider_specific_fields"))
    inner = _dict(_dict(call.get("function")).get("provider_specific_fields"))
    for holder in (google, provider, inner, call):
        signature = holder.get("thought_signature")
        if isinstance(signature, str) and signature:
            return signature
    call_id = call.get("id")
    return split_id(call_id)[1] if isinstance(call_id, str) else None


def carried_by_message(message: Json) -> tuple[dict[str, str], str | None]:
    """Give the signatures an assistant *message* carries: by call id, and of its text.

    Read are OpenRouter's `reasoning_details` and Anthropic's `thinking_blocks`.
    """
    by_call: dict[str, str] = {}
    last: str | None = None
    for detail in message.get("reasoning_details") or ():
        data = detail.get("data") or detail.get("signature")
        if not isinstance(data, str) or not data:
            continue
        if isinstance(detail.get("id"), str):
            by_call[detail["id"]] = data
        else:
            last = data
    for block in message.get("thinking_blocks") or ():
        signature = block.get("signature")
        if isinstance(signature, str) and signature:
            last = signature
    google = _dict(_dict(message.get("extra_content")).get("google"))
    own = google.get("thought_signature")
    return by_call, own if isinstance(own, str) and own else last


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
