"""The whole payload as the upstream call.

`messages` walks the conversation: `content`, `assistant` with `past_calls`, `results`. `options`
shapes the answer: `outputs`, `thinking`, and `overlay` for native settings. `unread` reports what
nothing reads.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gateway import features, models
from gateway.dialects.openai_chat import native, tools, turns
from gateway.dialects.openai_chat.checks import FIELDS
from gateway.dialects.openai_chat.embedded import ImageBudget
from gateway.dialects.openai_chat.request import assistant, messages, options, past_calls, unread
from gateway.dialects.openai_chat.tools.offered_tools import Tools
from gateway.dialects.openai_chat.translation import Translation
from gateway.errors import BadRequest
from gateway.exchange import Json, Known, Notes, UpstreamCall

# Known fields without a counterpart upstream.
_UNSENT = frozenset(
    [
        "logit_bias",
        "user",
        "metadata",
        "store",
        "prediction",
        "verbosity",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    ]
)
_SENT = FIELDS.keys() - _UNSENT
_CACHED = "google.cached_content"
# Their values that mean nothing.
_NEUTRAL: tuple[Any, ...] = (None, False, "", [], {})


def call(payload: Json, known: Known, notes: Notes) -> UpstreamCall:
    """Translate the checked *payload*; all that is lost or changed goes into *notes*.

    Raises `BadRequest` naming the field that cannot be carried out.
    """
    translation = _begin(payload, known, notes)
    system, contents = messages.conversation(translation)
    body: Json = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    offered = tools.translate(translation)
    offered.put_into(body, translation)
    config = options.generation_config(translation)
    if config:
        body["generationConfig"] = config
    body["safetySettings"] = options.safety_settings(translation)
    tier = options.service_tier(translation)
    if tier is not None:
        body["serviceTier"] = tier
    body = _settled(body, offered, translation)
    upstream_call = UpstreamCall(translation.model, body, payload.get("stream") is True)
    upstream_call.names = offered.names
    _note_unsent(translation)
    unread.note(translation)
    refused = translation.can.refuses
    if known.refusals:
        refused |= known.refusals
    return features.without(upstream_call, _in_order(refused), notes) if refused else upstream_call


@lru_cache(maxsize=256)
def _in_order(refused: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(refused))


def cached_content(payload: Json) -> tuple[str, str] | None:
    """Return the field for cached content and the name in it, None if there is no name."""
    name = native.google(payload).get("cachedContent")
    return (_CACHED, name) if isinstance(name, str) else None


def memory_keys(payload: Json, media: assistant.Media) -> list[str]:
    """Return the keys of what the gateway may remember of the turns in *payload*."""
    keys: list[str] = []
    image_budget = ImageBudget()
    for index, message in enumerate(payload["messages"]):
        if message["role"] == "assistant":
            if not past_calls.FIELDS.isdisjoint(message):
                calls = past_calls.tool_calls(message)
                keys += [key for key in map(past_calls.memory_key, calls) if key is not None]
            text, images = assistant.visible_content(message, index, media, image_budget)
            key = turns.text_key_at(payload["messages"], index, text, images)
            if key is not None:
                keys.append(key)
            keys += images
    return keys


def lost_keys(payload: Json, memories: Mapping[str, bytes]) -> list[str]:
    """Return further keys to ask for: of calls that *memories* does not hold under their ids."""
    messages = payload["messages"]
    return [
        key
        for index, message in enumerate(messages)
        if message["role"] == "assistant" and not past_calls.FIELDS.isdisjoint(message)
        for key in past_calls.lost_keys(messages, index, memories)
    ]


def _begin(payload: Json, known: Known, notes: Notes) -> Translation:
    name = models.parse(payload["model"])
    model = known.model or name.base
    google = native.google(payload)
    if google:
        for field in native.overridden(payload, google):
            notes.drop(field)
    return Translation(payload, known, notes, model, name, models.capabilities(model), google, [])


def _settled(body: Json, offered: Tools, translation: Translation) -> Json:
    """Return *body* without combinations that Gemini refuses."""
    cached = translation.google.get("cachedContent")
    if cached is not None:
        body = _with_cached_content(body, cached, translation)
    else:
        instruction = tools.one_at_a_time(translation, offered)
        if instruction is not None:
            body = features.instruct(body, instruction)
    _settle_format(body, offered, translation)
    store = translation.google.get("store")
    if store is not None:
        body["store"] = native.fit(store, bool, "google.store", translation.notes)
    token = translation.google.get("continuationToken")
    if token is not None:
        body["continuationToken"] = _token(token)
    return body


def _token(token: Any) -> str:
    if not isinstance(token, str) or not token:
        raise BadRequest(
            "Expected the `continuation_token` of an answer.", param="google.continuation_token"
        )
    return token


def _settle_format(body: Json, offered: Tools, translation: Translation) -> None:
    """Adapt the answer's format in *body*, whose settings may be changed, to its tools."""
    config = body.get("generationConfig") or {}
    if "responseMimeType" not in config and "text" not in config.get("responseFormat", ()):
        return
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if calling.get("mode") == "ANY":
        # Refused by every model, and without effect: the answer will be a call.
        translation.notes.adjust("response_format", "dropped", "tool_choice")
        for name in ("responseMimeType", "responseJsonSchema", "responseFormat"):
            config.pop(name, None)
        if not config:
            del body["generationConfig"]
    elif "googleMaps" in offered.builtins and config.get("responseMimeType") == "application/json":
        # The only way to request JSON together with this tool (ai.google.dev: maps-grounding).
        text = {"mimeType": "APPLICATION_JSON"}
        config.pop("responseMimeType")
        if "responseJsonSchema" in config:
            text["schema"] = config.pop("responseJsonSchema")
        config["responseFormat"] = {**config.get("responseFormat", {}), "text": text}


def _with_cached_content(body: Json, cached: Any, translation: Translation) -> Json:
    """Return *body* on top of cached content, which has instruction and tools of its own."""
    if not isinstance(cached, str) or not cached:
        raise BadRequest("Expected the name of cached content.", param=_CACHED)
    for name, field in (
        ("systemInstruction", "system"),
        ("tools", "tools"),
        ("toolConfig", "tool_choice"),
    ):
        if body.pop(name, None) is not None:
            translation.notes.adjust(field, "dropped", "cached_content")
    if translation.payload.get("parallel_tool_calls") is False:
        # It would be an instruction.
        translation.notes.drop("parallel_tool_calls")
    body["cachedContent"] = cached
    return body


def _note_unsent(translation: Translation) -> None:
    payload, notes = translation.payload, translation.notes
    if (payload.get("stream_options") or {}).get("include_obfuscation"):
        notes.drop("stream_options.include_obfuscation")
    if _SENT.issuperset(payload) and "extra_body" not in payload:
        return
    for name, value in payload.items():
        if name in _SENT:
            continue
        if value not in _NEUTRAL or (name not in FIELDS and value is not None):
            notes.drop(name)
    for name in (payload.get("extra_body") or {}).keys() - {"google"}:
        notes.drop(f"extra_body.{name}")
