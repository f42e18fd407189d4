"""The form of reply that the client wants, read once before the first event."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.calls import setting
from gateway.dialects.openai_chat import native, turns
from gateway.dialects.openai_chat.reply.encoders import require_encoder
from gateway.errors import BadRequest
from gateway.exchange import Json, Known, UpstreamCall

_NONE: frozenset[str] = frozenset()
_IMAGE_OUTPUTS = ("markdown", "images")
_DEFAULT_AUDIO_FORMAT = "wav"


@dataclass(slots=True)
class ReplyOptions:
    """The form of one reply; never changed once it is made.

    *function_names* maps wire names to the client's names, *custom_tools* are its free-text tools,
    *legacy_functions* is true for `functions` in place of `tools`. *earlier_call_ids* are those of
    the conversation so far, *question* is the end of the message that is answered, *occasion* tells
    this answer from all others if it may hold calls.
    """

    exchange_id: str
    created: int
    model: str
    include_thoughts: bool
    include_usage: bool
    image_output: str
    audio_format: str
    function_names: Mapping[str, str]
    custom_tools: frozenset[str]
    legacy_functions: bool
    earlier_call_ids: frozenset[str]
    question: str
    occasion: str


def reply_options(call: UpstreamCall, payload: Json, known: Known) -> ReplyOptions:
    """Read the reply's form from the upstream *call* and the client's *payload*.

    Raises `BadRequest` for a format of images or sound that the gateway cannot produce.
    """
    thinking = setting(call, "thinkingConfig") or {}
    image_output = native.google(payload).get("imageOutput") or known.image_output
    if image_output not in _IMAGE_OUTPUTS:
        raise BadRequest("Expected 'markdown' or 'images'.", param="google.image_output")
    audio_format = (payload.get("audio") or {}).get("format") or _DEFAULT_AUDIO_FORMAT
    if audio_format != _DEFAULT_AUDIO_FORMAT:
        require_encoder(audio_format)
    # In the order of the fields: by name they would take twice as long.
    return ReplyOptions(
        known.exchange_id,
        known.created,
        payload["model"],
        bool(thinking.get("includeThoughts")),
        bool((payload.get("stream_options") or {}).get("include_usage")),
        image_output,
        audio_format,
        call.names,
        _custom_tools(payload),
        bool(payload.get("functions")) and not payload.get("tools"),
        _call_ids(payload),
        turns.question(payload["messages"], len(payload["messages"])),
        _occasion(payload),
    )


def _occasion(payload: Json) -> str:
    if not (payload.get("tools") or payload.get("functions")):
        return ""
    return turns.occasion(payload["messages"], len(payload["messages"]))


def _custom_tools(payload: Json) -> frozenset[str]:
    tools = payload.get("tools")
    if not tools:
        return _NONE
    return frozenset(tool["custom"]["name"] for tool in tools if tool.get("type") == "custom")


def _call_ids(payload: Json) -> frozenset[str]:
    callers = [message for message in payload["messages"] if "tool_calls" in message]
    if not callers:
        return _NONE
    calls = [
        call
        for message in callers
        if message["role"] == "assistant"
        for call in message["tool_calls"] or ()
    ]
    return frozenset(call["id"] for call in calls if call.get("id"))
