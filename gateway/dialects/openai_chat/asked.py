"""What the client asked of the answer's form, read once before the first event."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.calls import setting
from gateway.dialects.openai_chat import native, turns
from gateway.dialects.openai_chat.encoders import check_format
from gateway.errors import BadRequest
from gateway.exchange import Json, Known, UpstreamCall

_NONE: frozenset[str] = frozenset()
_IMAGE_OUTPUTS = ("markdown", "images")
_USUAL_SOUND = "wav"


@dataclass(slots=True)
class Asked:
    """The answer's form; never changed once it is made.

    *names* restores the client's function names, *customs* are its free-text tools, *legacy* is
    true for `functions` in place of `tools`. *taken* holds the ids of the calls made before,
    *question* is the end of what is answered.
    """

    exchange_id: str
    created: int
    model: str
    thoughts: bool
    usage: bool
    images: str
    audio: str
    names: Mapping[str, str]
    customs: frozenset[str]
    legacy: bool
    taken: frozenset[str]
    question: str


def asked(call: UpstreamCall, payload: Json, known: Known) -> Asked:
    """Read the answer's form from the *call* that goes up and the *payload* that came.

    Raises `BadRequest` for a form of images or sound that cannot be had here.
    """
    thinking = setting(call, "thinkingConfig") or {}
    images = native.google(payload).get("imageOutput") or known.image_output
    if images not in _IMAGE_OUTPUTS:
        raise BadRequest("Expected 'markdown' or 'images'.", param="google.image_output")
    audio = (payload.get("audio") or {}).get("format") or _USUAL_SOUND
    if audio != _USUAL_SOUND:
        check_format(audio)
    # In the order of the fields: by name they would take twice as long.
    return Asked(
        known.exchange_id,
        known.created,
        payload["model"],
        bool(thinking.get("includeThoughts")),
        bool((payload.get("stream_options") or {}).get("include_usage")),
        images,
        audio,
        call.names,
        _custom_tools(payload),
        bool(payload.get("functions")) and not payload.get("tools"),
        _call_ids(payload),
        turns.question(payload["messages"], len(payload["messages"])),
    )


def _custom_tools(payload: Json) -> frozenset[str]:
    tools = payload.get("tools")
    if not tools:
        return _NONE
    return frozenset(tool["custom"]["name"] for tool in tools if tool.get("type") == "custom")


def _call_ids(payload: Json) -> frozenset[str]:
    callers = [message for message in payload["messages"] if "tool_calls" in message]
    if not callers:
        return _NONE
    calls = [call for message in callers for call in message["tool_calls"] or ()]
    return frozenset(call["id"] for call in calls if call.get("id"))
