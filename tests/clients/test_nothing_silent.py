"""Whatever a client asks for goes up in some form, or a header of the answer names it."""

import json
from typing import Any

import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.checks import FIELDS
from tests.faults.scripted import LAST, ScriptedUpstream, answer
from tests.running import settings_for

SPEAKING = "gemini-2.5-flash-preview-tts"
# One of each kind: budgets, levels, newest, drawing, speaking, without tools.
MODELS = [
    "gemini-2.5-flash",
    "gemini-2.5-flash-thinking",
    "gemini-3.5-flash",
    "gemini-3.8-flash",
    "gemini-3-pro-image",
    SPEAKING,
    "gemma-3-27b-it",
]
# Fields without an effect upstream, each with its reason.
EXPLAINED = {
    "model": "it is the path of the request",
    "messages": "every test of a conversation is about them",
    "stream": "it is the path of the request",
    "stream_options": "it shapes the answer, which `tests/clients/test_endings.py` looks at",
    "image_output": "it shapes the answer, which the tests of images look at",
}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
TOOL = {"type": "function", "function": FUNCTION}
TOOLS = {"tools": [TOOL]}
SEARCH = {"tools": [{"type": "web_search"}]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
# field: what it is set to, and what it is set beside
OPENAI: dict[str, list[tuple[Any, dict]]] = {
    "audio": [({"voice": "alloy", "format": "wav"}, {})],
    "extra_body": [({"google": {"seed": 1}}, {}), ({"colour": 1}, {})],
    "frequency_penalty": [(1, {}), (-0.5, {})],
    "function_call": [
        ("none", {"functions": [FUNCTION]}),
        ({"name": "f"}, {"functions": [FUNCTION]}),
        ("none", {**TOOLS, "tool_choice": "required"}),
    ],
    "functions": [([FUNCTION], {}), ([FUNCTION], {"tools": [{"googleSearch": {}}]})],
    "google": [
        ({"seed": 1}, {}),
        ({"colour": 1}, {}),
        ({"function_calling_config": {"mode": "ANY"}}, {**TOOLS, "tool_choice": "none"}),
    ],
    "image_config": [
        ({"aspect_ratio": "1:1"}, {}),
        ({"aspect_ratio": "1:1"}, {"google": {"image_config": {"aspect_ratio": "2:3"}}}),
    ],
    "logit_bias": [({"5": 1}, {})],
    "logprobs": [(True, {})],
    "max_completion_tokens": [(5, {}), (5, {"max_tokens": 6})],
    "max_tokens": [(5, {}), (5, {"max_completion_tokens": 6})],
    "metadata": [({"a": "b"}, {})],
    "modalities": [(["text", "audio"], {}), (["image"], {})],
    "moderation": [({"model": "m"}, {})],
    "n": [(2, {})],
    "parallel_tool_calls": [(False, TOOLS)],
    "prediction": [({"type": "content", "content": "a"}, {})],
    "presence_penalty": [(1, {}), (-0.5, {})],
    "prompt_cache_key": [("a", {})],
    "prompt_cache_options": [({"a": 1}, {})],
    "prompt_cache_retention": [("24h", {})],
    "reasoning": [
        ({"effort": "low"}, {}),
        ({"max_tokens": 900}, {}),
        ({"effort": "low"}, {"reasoning_effort": "high"}),
    ],
    "reasoning_effort": [
        *((effort, {}) for effort in ("minimal", "low", "medium", "high", "xhigh", "max")),
        ("low", {"thinking": {"type": "enabled", "budget_tokens": 9000}}),
        ("low", {"google": {"thinking_config": {"thinking_budget": 9000}}}),
    ],
    "response_format": [
        ({"type": "json_object"}, {}),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}, {}),
        ({"type": "json_object"}, {**TOOLS, "tool_choice": "required"}),
    ],
    "safety_identifier": [("a", {})],
    "seed": [(0, {}), (-1, {}), (2**40, {})],
    "service_tier": [
        ("auto", {}),
        ("flex", {}),
        ("priority", {"google": {"service_tier": "flex"}}),
    ],
    "stop": [("a", {}), (["a", "b"], {})],
    "store": [(True, {})],
    "temperature": [(0, {}), (1.5, {})],
    "thinking": [
        ({"type": "enabled"}, {}),
        ({"type": "enabled", "budget_tokens": 2000}, {}),
        (
            {"type": "enabled", "budget_tokens": 2000},
            {"google": {"thinking_config": {"thinking_level": "low"}}},
        ),
    ],
    "tool_choice": [
        ("none", TOOLS),
        ("required", TOOLS),
        ("required", {}),
        ("required", SEARCH),
        ({"type": "function", "function": {"name": "f"}}, TOOLS),
    ],
    "tools": [
        ([TOOL], {}),
        ([{"type": "custom", "custom": {"name": "c"}}], {}),
        ([{"type": "web_search"}], {}),
        ([{"colour": {}}], {}),
    ],
    "top_k": [(5, {})],
    "top_logprobs": [(5, {"logprobs": True})],
    "top_p": [(0, {}), (0.5, {})],
    "user": [("a", {})],
    "verbosity": [("low", {})],
    "web_search_options": [({}, {}), ({"search_context_size": "low"}, SEARCH)],
    "colour": [(1, {}), ("", {}), (False, {})],
}
GOOGLE: dict[str, list[tuple[Any, dict]]] = {
    "temperature": [(0, {})],
    "top_p": [(0, {})],
    "top_k": [(5, {})],
    "candidate_count": [(2, {})],
    "max_output_tokens": [(5, {})],
    "stop_sequences": [(["a"], {})],
    "seed": [(0, {})],
    "presence_penalty": [(1, {})],
    "frequency_penalty": [(1, {})],
    "response_logprobs": [(True, {})],
    "logprobs": [(5, {"response_logprobs": True})],
    "response_mime_type": [("application/json", {})],
    "response_schema": [({"type": "OBJECT"}, {})],
    "response_json_schema": [(SCHEMA, {})],
    "response_modalities": [(["IMAGE"], {}), (["AUDIO"], {}), (["TEXT", "VIDEO"], {})],
    "response_format": [({"text": {"mimeType": "APPLICATION_JSON"}}, {})],
    "audio_transcription_config": [({"language_codes": ["de"]}, {})],
    "translation_config": [({"target_language_code": "de"}, {})],
    "media_resolution": [("MEDIA_RESOLUTION_LOW", {})],
    "thinking_config": [({"include_thoughts": True, "thinking_budget": 900}, {})],
    "image_config": [({"aspect_ratio": "1:1"}, {}), ({"image_size": "1K"}, {})],
    "speech_config": [({"language_code": "de"}, {})],
    "enable_affective_dialog": [(True, {})],
    "enable_enhanced_civic_answers": [(True, {})],
    "safety_settings": [
        ([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}], {}),
        ([{"category": "HARM_CATEGORY_HARASSMENT"}], {}),
    ],
    "cached_content": [("cachedContents/1", {})],
    "retrieval_config": [
        ({"language_code": "de"}, {"tools": [{"google_maps": {}}]}),
        ({"language_code": "de"}, {}),
    ],
    "function_calling_config": [
        ({"mode": "ANY"}, {"tools": []}),
        ({"mode": "ANY"}, {"tools": [{"google_search": {}}]}),
    ],
    "include_server_side_tool_invocations": [
        (True, {"tools": [{"google_search": {}}]}),
        (True, {}),
    ],
    "tools": [
        ([{"url_context": {}}], {}),
        ([{"mcp_servers": [{"name": "a"}]}], {}),
        ([{"colour": {}}], {}),
    ],
    "store": [(False, {})],
    "service_tier": [("flex", {})],
    "labels": [({"a": "b"}, {})],
    "colour": [(1, {})],
    "generation_config": [({"seed": 0}, {}), ({"colour": 1}, {})],
    "tool_config": [({"function_calling_config": {"mode": "ANY"}}, {})],
}
# By which other names a field may be told: it asks for something that has these.
ALSO = {
    "web_search_options": ["tools.googleSearch"],
    "google": ["tools", "thinking"],
    "extra_body": ["google"],
    "reasoning_effort": ["thinking"],
    "reasoning": ["thinking"],
    "functions": ["tools"],
    "function_call": ["tools"],
    "tool_choice": ["tools"],
    "parallel_tool_calls": ["tools"],
}
# What is asked for here is what the model does anyway.
AS_IT_IS = [
    ("gemini-2.5-flash-thinking", {"thinking": {"type": "enabled"}}),
    (SPEAKING, {"modalities": ["text", "audio"]}),
    (SPEAKING, {"google": {"response_modalities": ["AUDIO"]}}),
    (SPEAKING, {"google": {"responseModalities": ["AUDIO"]}}),
]


def cases():
    """Yield the name of each case's field, the request without it and the request with it."""
    for field, values in OPENAI.items():
        for value, beside in values:
            yield field, beside, {**beside, field: value}
    for field, values in GOOGLE.items():
        for value, beside in values:
            for spelled in {field, native.camel(field)}:
                without, google_fields = {"google": beside}, {"google": {**beside, spelled: value}}
                yield f"google.{spelled}", without, google_fields


async def sent(gateway, upstream, fields):
    """Return the bodies that went up for *fields*, and the names that the headers tell."""
    before = len(upstream.seen)
    status, body, headers = await gateway.whole(**fields)
    assert status == 200, (fields, body)
    changes = [headers.get("x-gateway-adjusted", ""), headers.get("x-gateway-dropped", "")]
    names = [name.strip().partition("=")[0] for line in changes for name in line.split(",")]
    return [one.body for one in upstream.seen[before:]], names


def names_of(field):
    """Return the beginnings of the names by which *field* is told."""
    top, _, inner = field.partition(".")
    if _snake(inner) in ("generation_config", "tool_config"):
        # A group that clients may leave out, and so do the names.
        return [top]
    return [field, f"{top}.{_snake(inner)}", _snake(inner) or top, *ALSO.get(inner or top, ())]


def _snake(name):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@pytest.mark.parametrize("model", MODELS)
async def test_every_field_has_its_effect_or_is_named(running, model):
    silent = []
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        for field, without, asked in cases():
            bare, _ = await sent(gateway, upstream, {"model": model, **without})
            bodies, changes = await sent(gateway, upstream, {"model": model, **asked})
            named = any(name.startswith(tuple(names_of(field))) for name in changes if name)
            if bodies == bare and not named and (model, asked) not in AS_IT_IS:
                silent.append(f"{field}: {json.dumps(asked)} {changes}")
    assert not silent, "\n".join(silent)


def test_every_field_that_openai_or_the_gateway_knows_is_looked_at():
    openai = {
        *CompletionCreateParamsNonStreaming.__annotations__,
        *CompletionCreateParamsStreaming.__annotations__,
    }
    assert len(openai) > 30
    assert openai | FIELDS.keys() <= OPENAI.keys() | EXPLAINED.keys()
    fields = {native.camel(name) for name in GOOGLE}
    assert native.GENERATION_CONFIG.keys() <= fields
