"""What a payload may look like."""

import copy

import pytest

from gateway.dialects.openai_chat.checks import MAX_MESSAGES, MAX_PARTS, MAX_TOOLS, check
from gateway.errors import BadRequest

VALUES = {"object": {}, "array": [], "string": "x", "boolean": True, "integer": 7, "number": 0.5}

PAYLOAD = {
    "model": "gemini-2.5-flash",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": [{"type": "text", "text": "d"}]},
        {
            "role": "user",
            "name": "n",
            "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": "u", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "d", "format": "wav"}},
                {"type": "video_url", "video_url": {"url": "u"}, "video_metadata": {"fps": 1}},
                {"type": "input_video", "input_video": {"data": "d"}},
                {"type": "file", "file": {"file_data": "d", "filename": "f", "file_id": "i"}},
                {"type": "input_file", "file_data": "d"},
                {"type": "audio_url", "audio_url": "u"},
                {"type": "input_image", "image_url": "u"},
                {"type": "input_text", "text": "t"},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "t"}, {"type": "refusal", "refusal": "r"}],
            "refusal": "r",
            "reasoning_content": "r",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "custom", "custom": {"name": "c", "input": "i"}},
            ],
            "function_call": {"name": "f", "arguments": "{}"},
            "audio": {"id": "a"},
            "images": [{"type": "image_url"}],
            "reasoning_details": [{}],
            "thinking_blocks": [{}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "r"},
        {"role": "function", "name": "f", "content": "r"},
    ],
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "temperature": 1,
    "top_p": 1,
    "top_k": 40,
    "n": 1,
    "stop": ["a"],
    "seed": 0,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {}, "strict": True},
    },
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {}, "strict": True},
        },
        {"type": "custom", "custom": {"name": "c", "description": "d", "format": {}}},
        {"googleSearch": {}},
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "function": {"name": "f"},
        "allowed_tools": {"mode": "auto", "tools": [{"name": "f"}]},
    },
    "parallel_tool_calls": True,
    "functions": [{"name": "f", "description": "d", "parameters": {}}],
    "function_call": "auto",
    "reasoning_effort": "low",
    "reasoning": {"effort": "low", "max_tokens": 5, "enabled": True, "exclude": False},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "modalities": ["text"],
    "audio": {"voice": {"id": "v"}, "format": "wav"},
    "image_config": {},
    "web_search_options": {"search_context_size": "low", "user_location": {}},
    "service_tier": "auto",
    "extra_body": {"google": {}},
    "google": {},
    "user": "u",
    "metadata": {},
    "store": False,
    "prediction": {},
    "verbosity": "low",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
}
# Where a value of another type than the one above is right too.
ALSO = {
    "content": {"array", "string"},
    "image_url": {"object", "string"},
    "audio_url": {"object", "string"},
    "video_url": {"object", "string"},
    "input_audio": {"object", "string"},
    "input_video": {"object", "string"},
    "file": {"object", "string"},
    "stop": {"array", "string"},
    "tool_choice": {"object", "string"},
    "function_call": {"object", "string"},
    "voice": {"object", "string"},
    "parameters": {"object", "boolean"},
}
FREE = {"arguments", "fps"}
NUMBERS = {"temperature", "top_p", "presence_penalty", "frequency_penalty"}


def places(value, path=()):
    """Yield each place of *value* and what stands there."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key), inner
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def path_text(path):
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def kind(value):
    types = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}
    return types.get(type(value), "number")


def with_value(path, value):
    payload = copy.deepcopy(PAYLOAD)
    holder = payload
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return payload


def wrong_values():
    for path, value in places(PAYLOAD):
        name = path[-1]
        if name in FREE or path[:2] == ("tools", 2) or "images" in path[:-1]:
            continue
        if path[0] == "tool_choice" and len(path) > 3:
            continue
        if "audio" in path and path[0] == "messages" and name == "id":
            continue
        right = ALSO.get(name, {kind(value)})
        if name in NUMBERS:
            right = {"integer", "number"}
        for word, wrong in VALUES.items():
            if word not in right:
                yield pytest.param(path, wrong, id=f"{path_text(path)}-{word}")


def refused(payload):
    with pytest.raises(BadRequest) as caught:
        check(payload)
    return caught.value


def test_a_payload_with_every_known_field_passes():
    check(PAYLOAD)


@pytest.mark.parametrize(("path", "wrong"), list(wrong_values()))
def test_each_field_with_each_wrong_json_type_is_refused_by_its_path(path, wrong):
    error = refused(with_value(path, wrong))
    assert error.param == path_text(path)
    assert error.status == 400


@pytest.mark.parametrize("name", [name for name in PAYLOAD if name not in ("model", "messages")])
def test_null_is_unset(name):
    check({**PAYLOAD, name: None})


def message(**fields):
    return {"model": "m", "messages": [fields]}


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        ({}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": None, "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "", "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "a b", "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "../x", "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": None}, "messages"),
        ({"model": "m", "messages": [None]}, "messages[0]"),
        (message(content="x"), "messages[0].role"),
        (message(role="robot", content="x"), "messages[0].role"),
        (message(role="user"), "messages[0].content"),
        (message(role="user", content=None), "messages[0].content"),
        (message(role="user", content=[{}]), "messages[0].content[0].type"),
        (message(role="user", content=[{"type": "hologram"}]), "messages[0].content[0].type"),
        (message(role="user", content=[{"type": "text"}]), "messages[0].content[0].text"),
        *(
            (message(role="user", content=[{"type": kind}]), f"messages[0].content[0].{needed}")
            for kind, needed in {
                "input_text": "text",
                "output_text": "text",
                "input_image": "image_url",
            }.items()
        ),
        (
            message(role="assistant", tool_calls=[{"function": {}}]),
            "messages[0].tool_calls[0].function.name",
        ),
        (
            message(role="user", content=[{"type": "image_url", "image_url": {"url": 5}}]),
            "messages[0].content[0].image_url.url",
        ),
        (with_value(("tool_choice",), "perhaps"), "tool_choice"),
        (with_value(("response_format",), {"type": "xml"}), "response_format.type"),
        (
            with_value(("response_format",), {"type": "json_object", "json_schema": 5}),
            "response_format.json_schema",
        ),
        (with_value(("max_tokens",), 1.5), "max_tokens"),
        (with_value(("reasoning_effort",), "huge"), "reasoning_effort"),
        (with_value(("audio", "format"), "midi"), "audio.format"),
    ],
)
def test_what_is_missing_or_senseless_is_named(payload, param):
    assert refused(payload).param == param


@pytest.mark.parametrize(
    ("path", "item", "most", "param"),
    [
        (("messages",), {"role": "user", "content": "x"}, MAX_MESSAGES, "messages"),
        (
            ("messages", 2, "content"),
            {"type": "text", "text": "x"},
            MAX_PARTS,
            "messages[2].content",
        ),
        (("tools",), {"type": "function", "function": {"name": "f"}}, MAX_TOOLS, "tools"),
        (("tool_choice",), {"name": "f"}, MAX_TOOLS, "tool_choice.tools"),
    ],
)
def test_too_many_items_are_refused_and_the_most_allowed_pass(path, item, most, param):
    def listed(count):
        value = [item] * count
        return with_value(path, {"tools": value} if path == ("tool_choice",) else value)

    check(listed(most))
    assert refused(listed(most + 1)).param == param


def test_a_whole_number_may_be_written_with_a_point():
    check({**PAYLOAD, "max_tokens": 100.0})


def test_fields_that_nobody_knows_pass():
    check({**PAYLOAD, "telepathy": {"a": 1}})
