"""What the next turn needs of this one, for clients that send back only what OpenAI's API knows.

Gemini wants its own parts back: thought signatures on calls, text, code and images, code and its
output as code. The reply side makes entries, the request side asks for them by what the client
sends again: the id of a tool call, the data of an image, or all that was visible. Entries:

    call/<id>       {"s": signature, "i": native id, "t": turn}, each absent if there was none
    call/<digest>   the same, for clients that give calls other ids or none
    image/<digest>  {"s": signature}
    text/<digest>   {"t": turn}

A turn is [part, ...]; {"call": n} is its n-th function call, {"image": n} the n-th image that the
client sends. One with neither visible text nor images is kept with its first call. Each entry has
as "m" the model that was asked for: another one refuses its signatures.

An answer of plain text without a signature needs no entry.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from gateway.exchange import Json

_THOUGHT_ID = "__thought__"
_INSTRUCTIONS = frozenset({"system", "developer"})
# A text of at least this length answers one question only; a shorter one may answer many.
_DISTINCTIVE_LENGTH = 100
_END_OF_QUESTION = 200
# How many messages before an answer, and how much of their beginnings and ends, identify it.
_LAST_MESSAGES = 4
_SKETCHED = 1_000


class Origin(NamedTuple):
    """The *model* that was asked, without suffixes, the end of the *question*, and the *occasion*.

    Without the last one calls are known by their ids alone.
    """

    model: str = ""
    question: str = ""
    occasion: str = ""


_UNKNOWN = Origin()


def call_key(call_id: str) -> str:
    """Return the key of the tool call that the client knows as *call_id*."""
    return "call/" + (call_id if len(call_id) <= 128 else _digest(call_id))


def nameless_key(occasion: str, place: int, name: str, arguments: Any) -> str:
    """Return the key of the call at *place* of an answer, for clients that do not keep its id."""
    encoded = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()
    return "call/" + _digest(f"{occasion}\n{place}\n{name}\n{encoded}")


def image_key(data: str) -> str:
    """Return the key of the image that *data* holds in base64."""
    return "image/" + _digest(data)


def text_key(text: str, images: Sequence[str] = (), question: str = "") -> str | None:
    """Return the key of the answer that showed *text* and the *images* of these keys.

    None for an empty one. A short text is identified by its *question*, too. Next to images blanks
    do not count: how they are separated from the text is up to the client. Line ends and blanks
    before them never do.
    """
    if images:
        return "text/" + _digest("\n".join(("".join(text.split()), *images)))
    text = _with_even_lines(text)
    if not text:
        return None
    return "text/" + _digest(text if len(text) >= _DISTINCTIVE_LENGTH else f"{question}\n{text}")


def text_key_at(
    messages: Sequence[Json], index: int, text: str, images: Sequence[str]
) -> str | None:
    """Return the key of *text* and *images* as the answer at *index*; None for an empty one."""
    if images:
        return text_key(text, images)
    # Nearly every turn with calls has none.
    text = _with_even_lines(text) if text else ""
    if not text or len(text) >= _DISTINCTIVE_LENGTH:
        return text_key(text)
    return text_key(text, question=question(messages, index))


def question(messages: Sequence[Json], index: int) -> str:
    """Return the end of what the message at *index* answers; instructions may come in between."""
    at = index - 1
    while at >= 0 and messages[at]["role"] in _INSTRUCTIONS:
        at -= 1
    if at < 0:
        return ""
    message = messages[at]
    body = message.get("content")
    if isinstance(body, list):
        texts = (part.get("text") for part in reversed(body))
        body = next((text for text in texts if isinstance(text, str)), None)
    # With other line ends it is longer.
    end = body[-2 * _END_OF_QUESTION :] if isinstance(body, str) else ""
    end = _with_even_lines(end)[-_END_OF_QUESTION:]
    # Many calls have the same result.
    return f"{message['tool_call_id']}\n{end}" if message.get("tool_call_id") else end


def _with_even_lines(text: str) -> str:
    """Return *text* as all clients keep it, whatever they end their lines with."""
    if "\r" in text or " \n" in text or "\t\n" in text:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        text = "\n".join(line.rstrip(" \t") for line in lines)
    return text.strip()


def occasion(messages: Sequence[Json], index: int) -> str:
    """Return what tells the answer at *index* from those of other conversations, and from others.

    Equal calls are frequent: that is how the conversation began and what was said last.
    """
    begin = next((message for message in messages if message["role"] == "user"), None)
    known = [*([begin] if begin else ()), *messages[max(0, index - _LAST_MESSAGES) : index]]
    return "\n".join((str(index), *map(_sketch, known)))


def _sketch(message: Json) -> str:
    """Return the role of *message*, and the beginning and the end of its text."""
    body = message.get("content")
    if isinstance(body, list):
        texts = (part.get("text") for part in body)
        body = "\n".join(text for text in texts if isinstance(text, str))
    text = body if isinstance(body, str) else ""
    if len(text) > 2 * _SKETCHED:
        text = f"{len(text)} {text[:_SKETCHED]}\n{text[-_SKETCHED:]}"
    return f"{message['role']} {text}"


def memory_entries(
    parts: Sequence[Json],
    content: str,
    calls: Sequence[Json],
    images: Sequence[str] = (),
    origin: Origin = _UNKNOWN,
) -> list[tuple[str, bytes]]:
    """Return the entries of one finished choice.

    *parts* are Gemini's own in order, without thoughts; *content* is all the visible text that the
    client got, without images; *calls* are its tool calls in the order of the `functionCall` parts;
    *images* are the keys of the images in the order of their parts.
    """
    model_entry = {"m": origin.model} if origin.model else {}
    drawn = [part for part in parts if _is_image(part)]
    entries = [
        (key, orjson.dumps({"s": part["thoughtSignature"], **model_entry}))
        for part, key in zip(drawn, images, strict=False)
        if "thoughtSignature" in part
    ]
    text = text_key(content, images, origin.question)
    is_kept = any(map(_is_more_than_text, parts)) or _has_text_after_call(parts)
    turn = list(_compact(parts)) if is_kept else None
    native_calls = [part for part in parts if "functionCall" in part]
    for place, (part, call) in enumerate(zip(native_calls, calls, strict=False)):
        native = part["functionCall"]
        facts = {"s": part.get("thoughtSignature"), "i": native.get("id"), **model_entry}
        if text is None and part is native_calls[0]:
            facts["t"] = turn
        value = orjson.dumps({k: v for k, v in facts.items() if v})
        if call.get("id"):
            entries.append((call_key(call["id"]), value))
        if origin.occasion:
            arguments = native.get("args") or {}
            key = nameless_key(origin.occasion, place, native["name"], arguments)
            entries.append((key, value))
    if text is not None and turn is not None:
        entries.append((text, orjson.dumps({"t": turn, **model_entry})))
    return entries


def _is_more_than_text(part: Json) -> bool:
    if "functionCall" in part:
        return False
    return "thoughtSignature" in part or "text" not in part


def _has_text_after_call(parts: Sequence[Json]) -> bool:
    """Tell whether the order differs from that of a message: its text, then its calls."""
    return any(
        "functionCall" in part and "functionCall" not in following
        for part, following in pairwise(parts)
    )


def _compact(parts: Iterable[Json]) -> Iterator[Json]:
    calls = images = 0
    for part in parts:
        if "functionCall" in part:
            yield {"call": calls}
            calls += 1
        elif "inlineData" not in part:
            yield part
        elif _is_image(part):
            # The client sends the image again; only its place is kept here.
            yield {"image": images}
            images += 1


def _is_image(part: Json) -> bool:
    blob = part.get("inlineData")
    return blob is not None and str(blob.get("mimeType")).startswith("image/")


def restore(
    entry: Sequence[Any], calls: Sequence[Json], images: Sequence[Json]
) -> list[Json] | None:
    """Return the parts of the turn that *entry* remembers; None if the client changed it.

    *calls* and *images* are the parts made from what the client sent, signed.
    """
    parts: list[Json] = []
    used = 0
    for part in entry:
        if not isinstance(part, dict) or not _is_place(part.get("call", part.get("image", 0))):
            return None
        if "call" in part:
            parts += calls[part["call"] : part["call"] + 1]
            used += 1
        elif "image" in part:
            if part["image"] >= len(images):
                return None
            parts.append(images[part["image"]])
        else:
            parts.append(part)
    return parts + list(calls[used:])


def _is_place(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def read_entry(memories: Mapping[str, bytes], key: str | None) -> Json | None:
    """Return the entry of *key*; None if it is unknown or unreadable."""
    value = memories.get(key) if key else None
    try:
        known = orjson.loads(value) if value is not None else None
    except orjson.JSONDecodeError:
        return None
    return known if isinstance(known, dict) else None


def is_from_model(entry: Json, model: str) -> bool:
    """Tell whether *entry* belongs to an answer of *model*."""
    return bool(entry.get("m", model) == model)


def split_id(call_id: str) -> tuple[str, str | None]:
    """Return the actual id and the signature that some clients append to it."""
    head, mark, signature = call_id.partition(_THOUGHT_ID)
    return head, signature if mark else None


def carried_signature(call: Json) -> str | None:
    """Return the signature that the client carries on a tool *call*."""
    google = _dict(_dict(call.get("extra_content")).get("google"))
    provider = _dict(call.get("provider_specific_fields"))
    inner = _dict(_dict(call.get("function")).get("provider_specific_fields"))
    for holder in (google, provider, inner, call):
        signature = holder.get("thought_signature")
        if isinstance(signature, str) and signature:
            return signature
    call_id = call.get("id")
    return split_id(call_id)[1] if isinstance(call_id, str) else None


def carried_signatures(message: Json) -> tuple[dict[str, str], str | None]:
    """Return the signatures an assistant *message* carries: by call id, and of its text.

    OpenRouter's `reasoning_details` and Anthropic's `thinking_blocks` are read.
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
    google = _dict(_dict(message.get("extra_content")).get("google"))
    holders = [
        *(message.get("thinking_blocks") or ()),
        {"signature": google.get("thought_signature")},
    ]
    for holder in holders:
        signature = holder.get("signature")
        if isinstance(signature, str) and signature:
            last = signature
    return by_call, last


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
