"""The valid shapes of a chat payload: one table of all known fields.

Only presence, types and counts are checked here; what a value means to the model is decided where
it is translated.
"""

from gateway import models
from gateway.dialects.openai_chat.reply.encoders import ENCODERS
from gateway.dialects.shapes import (
    Check,
    anything,
    by_type,
    fields,
    integer,
    items,
    number,
    of_type,
    one_of,
    tagged,
)
from gateway.exchange import Json
from gateway.media.parts import ABOUT_SOURCE, SOURCES

MAX_MESSAGES = 2_048
MAX_PARTS = 64
# OpenAI accepts 128, Gemini 512; a client that sends more than OpenAI allows means Gemini.
MAX_TOOLS = 512

_text = of_type(str)
_name = of_type(str, blank=False)
_flag = of_type(bool)
_object = of_type(dict)
_strings = items(_text)
_objects = items(_object)

# The media check decides whether a media part has a source at all.
_url = by_type(
    {str: anything, dict: fields({"url": _text, "detail": _text})}, "a string or an object"
)
_source = by_type(
    {str: anything, dict: fields(dict.fromkeys((*SOURCES, *ABOUT_SOURCE), _text))},
    "a string or an object",
)
_BESIDE_MEDIA = {
    "video_metadata": _object,
    "detail": _text,
    "media_resolution": _text,
    "media_processing": _text,
}

# The fields of a part, by its type.
PARTS: dict[str, dict[str, Check]] = {
    "text": {"text": _text},
    "input_text": {"text": _text},
    "output_text": {"text": _text},
    "refusal": {"refusal": _text},
    "image_url": {"image_url": _url, **_BESIDE_MEDIA},
    "input_image": {"image_url": _url, **_BESIDE_MEDIA},
    "input_audio": {"input_audio": _source, **_BESIDE_MEDIA},
    "audio_url": {"audio_url": _url, **_BESIDE_MEDIA},
    "video_url": {"video_url": _url, **_BESIDE_MEDIA},
    "input_video": {"input_video": _source, **_BESIDE_MEDIA},
    "file": {"file": _source, **_BESIDE_MEDIA},
    "input_file": {"file_data": _text, "file_id": _text, "file_url": _text, **_BESIDE_MEDIA},
}
_NEEDED = {"input_text": "text", "output_text": "text", "input_image": "image_url"}


def _part_fields(kind: str, known: dict[str, Check]) -> Check:
    needed = _NEEDED.get(kind, kind)
    return fields(known, required=(needed,) if needed in known else ())


_part = tagged(
    "type",
    {
        **{kind: _part_fields(kind, known) for kind, known in PARTS.items()},
        "thinking": _object,
        "redacted_thinking": _object,
        "reasoning": _object,
    },
)
_content = by_type(
    {str: anything, list: items(_part, most=MAX_PARTS)}, "a string or an array of parts"
)
_called = fields({"name": _name}, required=("name",))
_tool_call = tagged(
    "type",
    {
        "custom": fields(
            {"id": _text, "custom": fields({"name": _name, "input": _text}, required=("name",))},
            required=("custom",),
        ),
    },
    other=fields({"id": _text, "function": _called}, required=("function",)),
)
_plain = {"content": _content, "name": _text}
_assistant = fields(
    {
        **_plain,
        "refusal": _text,
        "reasoning_content": _text,
        "tool_calls": items(_tool_call, most=MAX_TOOLS),
        "function_call": _called,
        "audio": _object,
        "images": _objects,
        "native_parts": _objects,
        "reasoning_details": _objects,
        "thinking_blocks": _objects,
    }
)
_asking = fields(_plain, required=("content",))
_message = tagged(
    "role",
    {
        "system": _asking,
        "developer": _asking,
        "user": _asking,
        "assistant": _assistant,
        "tool": fields({**_plain, "tool_call_id": _text}),
        "function": fields(_plain),
    },
)

_schema = by_type({dict: anything, bool: anything}, "an object")
FUNCTION = {"name": _name, "description": _text, "parameters": _schema, "strict": _flag}
_function = fields(FUNCTION, required=("name",))
_tool = tagged(
    "type",
    {
        "function": fields({"function": _function}, required=("function",)),
        "custom": fields(
            {
                "custom": fields(
                    {"name": _name, "description": _text, "format": _object}, required=("name",)
                )
            },
            required=("custom",),
        ),
    },
    other=fields({}),
)
_allowed = items(_object, most=MAX_TOOLS)
_choice = fields(
    {
        "type": _text,
        "name": _text,
        "function": _called,
        "custom": _called,
        "mode": one_of("auto", "required"),
        "tools": _allowed,
        "allowed_tools": fields({"mode": one_of("auto", "required"), "tools": _allowed}),
    }
)
_tool_choice = by_type(
    {str: one_of("none", "auto", "required", "any", "validated"), dict: _choice},
    "a string or an object",
)
_form = {
    "json_schema": fields({"name": _text, "description": _text, "schema": _object, "strict": _flag})
}
_response_format = tagged(
    "type",
    {
        "text": fields(_form),
        "json_object": fields(_form),
        "json_schema": fields(_form, required=("json_schema",)),
    },
)

FIELDS = {
    "model": _name,
    "messages": items(_message, least=1, most=MAX_MESSAGES),
    "stream": _flag,
    "stream_options": fields({"include_usage": _flag, "include_obfuscation": _flag}),
    "temperature": number,
    "top_p": number,
    "top_k": integer,
    "n": integer,
    "stop": by_type({str: anything, list: _strings}, "a string or an array of strings"),
    "seed": integer,
    "max_tokens": integer,
    "max_completion_tokens": integer,
    "presence_penalty": number,
    "frequency_penalty": number,
    "logprobs": _flag,
    "top_logprobs": integer,
    "logit_bias": _object,
    "response_format": _response_format,
    "tools": items(_tool, most=MAX_TOOLS),
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _flag,
    "functions": items(_function, most=MAX_TOOLS),
    "function_call": by_type({str: one_of("none", "auto"), dict: _called}, "a string or an object"),
    "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "reasoning": fields(
        {"effort": _text, "max_tokens": integer, "enabled": _flag, "exclude": _flag}
    ),
    "thinking": fields(
        {"type": one_of("enabled", "disabled", "adaptive", "auto"), "budget_tokens": integer}
    ),
    "modalities": items(one_of("text", "audio", "image")),
    "audio": fields(
        {
            "voice": by_type({str: anything, dict: fields({"id": _name})}, "a string or an object"),
            "format": one_of(*ENCODERS),
        }
    ),
    "image_config": _object,
    "web_search_options": fields({"search_context_size": _text, "user_location": _object}),
    "service_tier": one_of("auto", "default", "standard", "flex", "priority", "fast", "scale"),
    "extra_body": fields({"google": _object}),
    "google": _object,
    "user": _text,
    "metadata": _object,
    "store": _flag,
    "prediction": _object,
    "verbosity": _text,
    "safety_identifier": _text,
    "prompt_cache_key": _text,
    "prompt_cache_retention": _text,
}
_payload = fields(FIELDS, required=("model", "messages"))


def check(payload: Json) -> None:
    """Refuse what is missing, of a wrong type or too long.

    Raises `BadRequest` whose *param* is the path of the fault.
    """
    _payload(payload)
    models.parse(payload["model"])
