"""Thinking: OpenAI's effort, Anthropic's budget, Gemini's own settings and the name's suffix.

All are turned into one request, and that into what the model accepts. Native settings take
precedence over `thinking`, that over `reasoning_effort` and `reasoning`, those over the suffix.
"""

from dataclasses import dataclass
from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.translation import Translation
from gateway.errors import BadRequest
from gateway.exchange import Json

_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
# Google's own mapping of reasoning_effort (ai.google.dev/gemini-api/docs/openai).
_BUDGETS = {"MINIMAL": 1_024, "LOW": 1_024, "MEDIUM": 8_192, "HIGH": 24_576}
_EFFORTS = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_STRONGEST = 1_000_000
_FIELDS = frozenset({"thinking", "reasoning_effort", "reasoning"})


@dataclass(frozen=True, slots=True)
class _ThinkingRequest:
    """What the client's *field* requests: *budget* in tokens (-1 automatic, 0 off) or *level*."""

    field: str
    budget: int | None = None
    level: str | None = None
    thoughts: bool | None = None

    @property
    def amount(self) -> int | str | None:
        """Return how much thinking is requested, in either form."""
        return self.level if self.budget is None else self.budget


def translate(translation: Translation) -> Json | None:
    """Return Gemini's `thinkingConfig`; None if nothing is requested, or nothing is possible."""
    name = translation.name
    if name.level is None and name.budget is None and not translation.has_any(_FIELDS):
        return None
    requested = _requested_thinking(translation)
    if requested is None:
        return None
    if translation.can.thinking == "none":
        if requested.budget != 0:
            translation.note_drop(requested.field)
        return None
    config: Json = {}
    if requested.thoughts is not None:
        config["includeThoughts"] = requested.thoughts
    if requested.budget is not None or requested.level is not None:
        to_config = _budget if translation.can.thinking == "budget" else _level
        config.update(to_config(translation, requested))
    if config.get("thinkingBudget") == 0 and config.get("includeThoughts"):
        # Refused otherwise: "only enabled when thinking is enabled".
        config["includeThoughts"] = False
    return config or None


def _requested_thinking(translation: Translation) -> _ThinkingRequest | None:
    """Return the first amount requested and the first word on thoughts; others are noted."""
    requests = [
        request
        for request in (
            _from_native(translation),
            _from_thinking(translation.payload.get("thinking")),
            _from_effort(translation.payload.get("reasoning_effort"), "reasoning_effort"),
            _from_reasoning(translation),
            _from_suffix(translation),
        )
        if request is not None
    ]
    if not requests:
        return None
    first = next((request for request in requests if request.amount is not None), requests[0])
    thoughts = next(
        (request.thoughts for request in requests if request.thoughts is not None), None
    )
    for request in requests:
        if request.amount not in (None, first.amount) and request.field != "model":
            translation.notes.drop(request.field)
    return _ThinkingRequest(first.field, first.budget, first.level, thoughts)


def _from_native(translation: Translation) -> _ThinkingRequest | None:
    setting = translation.google.get("thinkingConfig")
    if setting is None:
        return None
    path = "google.thinking_config"
    config = native.fit(setting, native.THINKING_CONFIG, path, translation.notes)
    level = config.get("thinkingLevel")
    if level is not None:
        level = level.upper().removeprefix("THINKING_LEVEL_")
        if level not in (*_LEVELS, "UNSPECIFIED", "XHIGH"):
            raise BadRequest(
                f"Expected one of {', '.join(_LEVELS)}.", param=f"{path}.thinking_level"
            )
        level = {"UNSPECIFIED": None, "XHIGH": "HIGH"}.get(level, level)
    budget = config.get("thinkingBudget")
    if level is not None and budget is not None:
        # Gemini refuses both together.
        translation.notes.drop(f"{path}.thinking_budget")
        budget = None
    return _ThinkingRequest(path, budget, level, config.get("includeThoughts"))


def _from_thinking(setting: Any) -> _ThinkingRequest | None:
    if setting is None:
        return None
    kind = setting.get("type") or "enabled"
    if kind == "disabled":
        return _ThinkingRequest("thinking", budget=0, thoughts=False)
    budget = setting.get("budget_tokens")
    return _ThinkingRequest("thinking", budget=-1 if budget is None else int(budget), thoughts=True)


def _from_effort(effort: Any, field: str) -> _ThinkingRequest | None:
    if effort is None:
        return None
    if effort == "none":
        return _ThinkingRequest(field, budget=0, thoughts=False)
    if effort not in _EFFORTS:
        raise BadRequest(
            f"{str(effort)[:64]!r} is not one of none, {', '.join(_EFFORTS)}.", param=field
        )
    if effort in ("xhigh", "max"):
        return _ThinkingRequest(field, budget=_STRONGEST, thoughts=True)
    return _ThinkingRequest(field, level=_EFFORTS[effort], thoughts=True)


def _from_reasoning(translation: Translation) -> _ThinkingRequest | None:
    """Read OpenRouter's form, in which a number of tokens overrides an effort."""
    setting = translation.payload.get("reasoning")
    if not setting:
        return None
    show_thoughts = None if setting.get("exclude") is None else not setting["exclude"]
    if setting.get("enabled") is False:
        return _ThinkingRequest("reasoning", budget=0, thoughts=False)
    if setting.get("max_tokens") is not None:
        if setting.get("effort") is not None:
            translation.notes.drop("reasoning.effort")
        return _ThinkingRequest(
            "reasoning", budget=int(setting["max_tokens"]), thoughts=show_thoughts is not False
        )
    requested = _from_effort(setting.get("effort"), "reasoning.effort")
    if requested is None:
        return _ThinkingRequest("reasoning", thoughts=show_thoughts is not False)
    return _ThinkingRequest(
        requested.field,
        requested.budget,
        requested.level,
        requested.thoughts and show_thoughts is not False,
    )


def _from_suffix(translation: Translation) -> _ThinkingRequest | None:
    name = translation.name
    if name.level is not None:
        return _ThinkingRequest("model", level=name.level.upper(), thoughts=None)
    if name.budget is None:
        return None
    return _ThinkingRequest("model", budget=name.budget, thoughts=True if name.thoughts else None)


def _budget(translation: Translation, requested: _ThinkingRequest) -> Json:
    """Return the budget within the model's range; a change is noted."""
    can = translation.can
    if requested.level is not None:
        least, most = can.budgets
        return {"thinkingBudget": min(max(_BUDGETS[requested.level], least), most)}
    assert requested.budget is not None
    budget = requested.budget
    if budget == -1 or (budget == 0 and can.thinking_off):
        return {"thinkingBudget": budget}
    clamped = min(max(budget, can.budgets[0], 1), can.budgets[1])
    if budget not in (clamped, _STRONGEST):
        translation.notes.adjust(requested.field, str(clamped), "model")
    return {"thinkingBudget": clamped}


def _level(translation: Translation, requested: _ThinkingRequest) -> Json:
    """Return the nearest level that the model has; a change is noted."""
    levels = translation.can.levels
    if requested.level is not None:
        wanted = requested.level
    elif requested.budget == -1:
        # The suffix promises thinking; elsewhere -1 leaves the amount to the model.
        return {"thinkingLevel": levels[-1]} if requested.field == "model" else {}
    else:
        wanted = _level_of(requested.budget or 0)
    level = min(
        levels, key=lambda candidate: (abs(_rank(candidate) - _rank(wanted)), -_rank(candidate))
    )
    if level != wanted or requested.budget == 0:
        translation.notes.adjust(requested.field, level.lower(), "model")
    return {"thinkingLevel": level}


def _level_of(budget: int) -> str:
    if budget <= 512:
        return "MINIMAL"
    return next((level for level in _LEVELS[1:3] if budget <= _BUDGETS[level]), "HIGH")


def _rank(level: str) -> int:
    return _LEVELS.index(level)
