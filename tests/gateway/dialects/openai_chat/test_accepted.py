"""Whatever valid OpenAI messages make up, the call that goes up keeps Gemini's rules."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.openai_chat import DIALECT
from gateway.errors import BadRequest
from gateway.exchange import Blob, Known, Notes
from tests.discovery import SCHEMA, validate
from tests.gateway.dialects.openai_chat.asking import OBJECT, ask, function
from tests.gateway.dialects.openai_chat.test_checks import PAYLOAD, places, with_value
from tests.gateway.dialects.openai_chat.wire_rules import broken_rules

MODELS = (
    "gemini-2.0-flash",
    "gemini-2.5-flash",
    "gemini-2.5-pro-thinking",
    "gemini-2.5-flash-image",
    "gemini-2.5-flash-preview-tts",
    "gemini-3-flash-preview",
    "gemini-3.7-flash-high",
    "gemma-3-27b-it",
)
ids = st.sampled_from(["1", "2", "3"])
names = st.sampled_from(["f", "g", "weather in town"])
texts = st.sampled_from(
    ["", " ", "Hi", '{"a":1}', '{"$ref":"x"}', "![i](data:image/png;base64,AA)"]
)
calls = st.one_of(
    st.builds(
        lambda i, n, a: {"id": i, "type": "function", "function": {"name": n, "arguments": a}},
        ids,
        names,
        texts,
    ),
    st.builds(
        lambda i, n, t: {"id": i, "type": "custom", "custom": {"name": n, "input": t}},
        ids,
        names,
        texts,
    ),
)
IMAGE = {"type": "image_url", "image_url": {"url": "x", "detail": "high"}}
parts = st.lists(
    st.one_of(texts.map(lambda t: {"type": "text", "text": t}), st.just(IMAGE)), max_size=3
)
content = st.one_of(texts, parts)
messages = st.lists(
    st.one_of(
        st.builds(lambda c: {"role": "user", "content": c}, content),
        st.builds(lambda c: {"role": "system", "content": c}, content),
        st.builds(
            lambda c, t: {"role": "assistant", "content": c, "tool_calls": t},
            st.one_of(st.none(), content),
            st.lists(calls, max_size=3),
        ),
        st.builds(
            lambda n, a: {"role": "assistant", "function_call": {"name": n, "arguments": a}},
            names,
            texts,
        ),
        st.builds(lambda i, c: {"role": "tool", "tool_call_id": i, "content": c}, ids, content),
        st.builds(lambda n, c: {"role": "function", "name": n, "content": c}, names, texts),
    ),
    min_size=1,
    max_size=8,
)
google = st.fixed_dictionaries(
    {},
    optional={
        "thinking_config": st.just({"include_thoughts": True}),
        "image_config": st.just({"aspect_ratio": "1:1", "image_size": "2K"}),
        "cached_content": st.just("cachedContents/1"),
        "continuation_token": st.just("dG9rZW4="),
        "media_resolution": st.just("MEDIA_RESOLUTION_LOW"),
        "labels": st.just({"a": "b"}),
        "tools": st.sampled_from([[{"url_context": {}}], [{"mcp_servers": [{"name": "m"}]}]]),
        "store": st.booleans(),
        "service_tier": st.just("priority"),
        "speech_config": st.just({"language_code": "de"}),
        "response_modalities": st.sampled_from([["TEXT"], ["IMAGE"]]),
        "function_calling_config": st.sampled_from([{"mode": "AUTO"}, {"mode": "VALIDATED"}]),
        "response_format": st.just({"text": {"mime_type": "APPLICATION_JSON"}}),
    },
)
options = st.fixed_dictionaries(
    {"model": st.sampled_from(MODELS)},
    optional={
        "temperature": st.sampled_from([0, 1, 1.5]),
        "n": st.sampled_from([1, 2]),
        "seed": st.integers(),
        "stop": st.lists(st.sampled_from(["", "a"]), max_size=7),
        "presence_penalty": st.just(1),
        "logprobs": st.just(True),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "high", "max"]),
        "response_format": st.sampled_from(
            [
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "n", "schema": OBJECT}},
            ]
        ),
        "tools": st.lists(
            st.sampled_from(
                [
                    function("f", OBJECT),
                    function("weather in town"),
                    function("codeExecution"),
                    {"type": "web_search"},
                    {"type": "custom", "custom": {"name": "c"}},
                ]
            ),
            max_size=4,
        ),
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
        "parallel_tool_calls": st.booleans(),
        "service_tier": st.sampled_from(["auto", "flex"]),
        "modalities": st.sampled_from([["text"], ["text", "audio"], ["image"]]),
        "audio": st.just({"voice": "alloy", "format": "wav"}),
        "google": google,
        "user": st.just("u"),
    },
)


class Everywhere(dict):
    """An image wherever one is looked for."""

    def get(self, at, default=None):
        return Blob("image/png", "AAAA")


@settings(max_examples=400, deadline=None)
@given(messages, options)
def test_any_conversation_becomes_a_call_within_geminis_rules(conversation, fields):
    call, _ = ask(messages=conversation, media=Everywhere(), **fields)
    orjson.dumps(call.body)
    assert broken_rules(call.body["contents"]) == []
    if SCHEMA.exists():
        assert validate(call.body, "GenerateContentRequest") == []
    config = call.body.get("generationConfig", {})
    assert not {"thinkingBudget", "thinkingLevel"} <= config.get("thinkingConfig", {}).keys()
    calling = call.body.get("toolConfig", {}).get("functionCallingConfig")
    declared = [t for t in call.body.get("tools", ()) if "functionDeclarations" in t]
    assert not calling or len(declared) == 1
    if "cachedContent" in call.body:
        assert not {"systemInstruction", "tools", "toolConfig"} & call.body.keys()


# Larger numbers are read as floats.
integers = st.integers(-(2**63), 2**64 - 1)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), integers, st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(places(PAYLOAD))), json_values)
def test_any_value_in_any_place_is_refused_or_carried_but_never_breaks(place, value):
    """No body gives a 5xx: only a `BadRequest` that names its culprit may come out."""
    path, _ = place
    payload = with_value(path, value)
    known = Known(exchange_id="x", media=Everywhere())
    try:
        DIALECT.check(payload)
        DIALECT.memory_keys(payload, {})
        DIALECT.lost_keys(payload, {})
        call = DIALECT.call(payload, known, Notes())
    except BadRequest as error:
        outcome = error.param
    else:
        outcome = orjson.dumps(call.body)
        DIALECT.reply(call, payload, known)
    assert outcome


def test_a_payload_with_every_known_field_is_carried():
    call = DIALECT.call(PAYLOAD, Known(exchange_id="x", media=Everywhere()), Notes())
    assert orjson.dumps(call.body)


def nested(depth):
    return orjson.loads('{"a":' * depth + "1" + "}" * depth)


@pytest.mark.parametrize("path", [path for path, _ in places(PAYLOAD)], ids=str)
def test_a_deep_value_in_any_place_is_refused_or_carried_but_never_breaks(path):
    for deep in (nested(1_000), [nested(1_000)], {"properties": nested(1_000)}):
        payload = with_value(path, deep)
        known = Known(exchange_id="x", media=Everywhere())
        try:
            DIALECT.check(payload)
            DIALECT.memory_keys(payload, {})
            DIALECT.lost_keys(payload, {})
            call = DIALECT.call(payload, known, Notes())
        except BadRequest:
            continue
        orjson.dumps(call.body)
        DIALECT.reply(call, payload, known)
