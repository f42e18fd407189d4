"""What the client asked of the answer's form, read once before the first event."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.encoders import check_format
from gateway.errors import BadRequest
from gateway.exchange import Json, Known, UpstreamCall

_NONE: frozenset[str] = frozenset()
_IMAGE_OUTPUTS = ("markdown", "images")


@dataclass(slots=True)
class Asked:
    """The answer's form; never changed once it is made.

    *names* restores the client's function names, *customs* are its free-text tools, *legacy* is
    true for `functions` in place of `tools`. *taken* holds the ids of the calls made before.
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


def asked(call: UpstreamCall, payload: Json, known: Known) -> Asked:
    """Read the answer's form from the *call* that goes up and the *payload* that came.

    Raises `BadRequest` for a form of images or sound that cannot be had here.
    """
    config = call.body.get("generationConfig") or {}
    thinking = config.get("thinkingConfig") or {}
    images = native.google(payload).get("imageOutput") or known.image_output
    if images not in _IMAGE_OUTPUTS:
        raise BadRequest("Expected 'markdown' or 'images'.", param="google.image_output")
    audio = (payload.get("audio") or {}).get("format") or "wav"
    check_format(audio)
    return Asked(
        exchange_id=known.exchange_id,
        created=known.created,
        model=payload["model"],
        thoughts=bool(thinking.get("includeThoughts")),
        usage=bool((payload.get("stream_options") or {}).get("include_usage")),
        images=images,
        audio=audio,
        names=call.names,
        customs=_custom_tools(payload),
        legacy=bool(payload.get("functions")) and not payload.get("tools"),
        taken=_call_ids(payload),
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
