"""Repairs a call that the model refused: Google's message tells which feature to remove.

The messages are Google's own, as users reported them; an unknown message changes nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gateway.exchange import Json, Notes, UpstreamCall
from gateway.features import BYPASS, instruct, limit, map_parts, without

REMEMBER_S = 86_400.0
MAX_LEARNED = 4_096
# Gemini repeats values and names that it cannot read. Those are the client's own words and say
# nothing about the model, and so may everything that follows.
_REPEATED = re.compile(
    r"""(Invalid value at '[^']*' \([^)]*\), )(?!"OFF"$).*"""
    r"""|(Unknown name (?:"\w+"(?: at '[\w.\[\]]*)?)?).*"""
    r"""|(\w\[)(?!\w*\]).*""",
    re.DOTALL,
)
# Each `frozenset()` would be a new object.
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Healed:
    """A repaired *call*. *feature* is what the model refuses, None if the cause was another."""

    call: UpstreamCall
    feature: str | None


def heal(call: UpstreamCall, message: str, notes: Notes) -> Healed | None:
    """Return *call* without what upstream's *message* complains about; None if nothing changes."""
    message = _REPEATED.sub(r"\1\2\3", message)
    for feature in _refused_features(message):
        healed = without(call, (feature,), notes)
        if healed is not call:
            return Healed(healed, feature)
    if _SIGNATURE.search(message) and (healed := _bypass(call, notes)) is not call:
        return Healed(healed, None)
    return None


def _refused_features(message: str) -> Iterator[str]:
    """Yield the features that *message* may be about; a range is more specific than a refusal."""
    for pattern, name, beyond in RANGES:
        match = pattern.search(message)
        if match is not None:
            yield limit(name, int(match["least"] or 0), int(match["most"]) - beyond)
    for pattern, feature in MESSAGES:
        if pattern.search(message):
            yield feature


def hint(call: UpstreamCall, slip: str, notes: Notes) -> UpstreamCall:
    """Return *call* for a second try, with an instruction about the *slip* that ended the first.

    A request in strict mode, and one whose instruction is in a cache, stay as they are.
    """
    text = _HINTS.get(slip)
    if text is None or notes.is_strict or "cachedContent" in call.body:
        return call
    notes.adjust("system", "hinted", slip)
    return replace(call, body=instruct(call.body, text))


class LearnedRefusals:
    """Features that models were seen to refuse. *clock* returns monotonic seconds."""

    __slots__ = ("_clock", "_until")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, dict[str, float]] = {}

    def of(self, model: str) -> frozenset[str]:
        """Return the names of the features that *model* refuses."""
        until = self._until.get(model)
        if until is None:
            return _NOTHING
        now = self._clock()
        return frozenset(feature for feature, end in until.items() if end > now)

    def learn(self, model: str, feature: str, for_s: float = REMEMBER_S) -> None:
        """Remember for *for_s* seconds that *model* refuses *feature*."""
        if model not in self._until and len(self._until) >= MAX_LEARNED:
            del self._until[next(iter(self._until))]
        known = self._until.setdefault(model, {})
        # Of several limits of one setting, the latest counts.
        name, limited, _ = feature.partition("=")
        for outdated in [old for old in known if limited and old.startswith(f"{name}=")]:
            del known[outdated]
        known[feature] = self._clock() + for_s


def _bypass(call: UpstreamCall, notes: Notes) -> UpstreamCall:
    """Put the documented bypass in place of signatures, and where a call lacks one."""
    follows_call = False

    def change(part: Json) -> Json:
        nonlocal follows_call
        is_call = "functionCall" in part
        is_first_call = is_call and not follows_call
        follows_call = is_call
        if "thoughtSignature" in part:
            needs_bypass = part["thoughtSignature"] != BYPASS
        else:
            needs_bypass = is_first_call
        return {**part, "thoughtSignature": BYPASS} if needs_bypass else part

    healed = map_parts(call, change)
    if healed is not call:
        notes.adjust("thought_signature", "bypass", "invalid")
    return healed


def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


# A pattern of the message, and the refused feature; the first that changes anything counts.
MESSAGES = tuple(
    (_compiled(pattern), feature)
    for pattern, feature in (
        (r"penalty is not (?:enabled|supported)", "penalties"),
        (r"(?:presence|frequency).?penalty.{0,80}not (?:enabled|supported)", "penalties"),
        (r"multiple candidates is not (?:enabled|supported)", "candidates"),
        (r"candidate.?count.{0,80}(?:not (?:enabled|supported)|must be 1|only)", "candidates"),
        (r"(?:temperature|top_?[pk])\b.{0,80}(?:not supported|not enabled|removed)", "sampling"),
        (r"sampling parameters?.{0,80}not (?:supported|allowed)", "sampling"),
        (r"logprobs?.{0,80}not (?:enabled|supported)", "logprobs"),
        (r"task.?type.{0,60}not (?:enabled|supported)", "task_type"),
        (r"\bseed\b.{0,40}not (?:enabled|supported)", "seed"),
        (r"thinking level minimal is not supported", "thinking_minimal"),
        (r"minimal\W{1,2}is not a supported thinking level", "thinking_minimal"),
        (r"unsupported: thinking_level_minimal", "thinking_minimal"),
        (r"budget 0 is invalid|only works in thinking mode", "thinking_off"),
        (r"thinking level.{0,60}not supported", "thinking_amount"),
        (r"not a supported thinking level", "thinking_amount"),
        (
            r"thinking budget is not supported|thinking_?budget.{0,40}not supported",
            "thinking_amount",
        ),
        (r"thinking.{0,60}(?:not (?:supported|enabled)|unsupported)", "thinking"),
        (r"unknown name \"thinking", "thinking"),
        (r"unknown name \"response_?format", "json_with_tools"),
        (r"forced function calling.{0,60}response mime type", "json_with_tools"),
        (r"(?:function calling|tool use) with a response mime type", "json_with_tools"),
        (
            r"(?:tool use|built-in tools?).{0,60}function calling.{0,40}(?:unsupported|not)",
            "builtins_with_functions",
        ),
        (r"multiple tools are supported only when", "builtins_with_functions"),
        (r"function calling is not enabled|function calling is not supported", "functions"),
        # A model that refuses one built-in tool may well accept the others.
        (r"(?:search grounding|google search|search as).{0,60}not (?:en|supp)", "search"),
        (r"code execution.{0,60}not (?:en|supp)", "code"),
        (r"(?:browse tool|url.?context).{0,60}not (?:en|supp)", "urls"),
        (r"google maps.{0,60}not (?:en|supp)", "maps"),
        (r"file search.{0,60}not (?:en|supp)", "files"),
        (r"computer use.{0,60}not (?:en|supp)", "computer"),
        (r"tool use.{0,60}not (?:en|supp)", "builtins"),
        (r"(?:developer|system) instruction.{0,60}not (?:enabled|supported)", "system"),
        (
            r"json mode is not (?:enabled|supported)|response.?mime.?type.{0,80}not supported",
            "json",
        ),
        (r"image.?size.{0,80}not (?:supported|enabled)", "image_size"),
        # The name of the enumeration's type stands in between.
        (r"threshold.{0,80}(?:not supported|invalid)|invalid value.{0,200}\"OFF\"", "safety_off"),
        (r"unknown name \"id\"", "call_ids"),
        (
            r"unknown name \"mediaResolution\" at 'contents|per.?part media.?resolution",
            "part_resolution",
        ),
        (r"media.?resolution.{0,80}not (?:supported|enabled)", "media_resolution"),
        (r"service.?tier.{0,80}not (?:supported|enabled|available)", "service_tier"),
    )
)
_HINTS = {
    "malformed_function_call": (
        "A function call must name a declared function and hold its arguments as one valid JSON "
        "object. Never write it as text or code."
    ),
    "unexpected_tool_call": "Call no function but those declared. Without any, answer in text.",
}
_SIGNATURE = _compiled(r"(?:corrupted )?thought.?signature")
_BUDGETS = _compiled(
    r"thinking.?budget.{0,120}(?:between|from) (?P<least>\d{1,9}) (?:and|to) (?P<most>\d{1,9})"
)
# A pattern of the message, the setting's name, and how far its named end is beyond the range.
RANGES = (
    (
        _compiled(r"max.?output.?tokens?.{0,120}(?P<least>)to (?P<most>\d{1,9}) \(exclusive"),
        "max_tokens",
        1,
    ),
    (
        _compiled(r"top_?k.{0,80}from (?P<least>\d{1,9}).{0,20}to (?P<most>\d{1,9}) \(exclusive"),
        "top_k",
        1,
    ),
    (
        _compiled(r"logprobs.{0,80}from (?P<least>\d{1,9}).{0,20}to (?P<most>\d{1,9}) \(exclusive"),
        "top_logprobs",
        1,
    ),
    (_BUDGETS, "thinking_budget", 0),
    (_BUDGETS, "no_thinking", 0),
    (_BUDGETS, "automatic_thinking", 0),
)
