"""Thinking: OpenAI's effort, Anthropic's budget, Gemini's own settings and the name's suffix.

All are turned into one wish, and the wish into what the model takes. Native settings count before
`thinking`, that before `reasoning_effort` and `reasoning`, those before the suffix.
"""

from dataclasses import dataclass
from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.translating import Translating
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
class _Wish:
    """What is asked for: *budget* in tokens (-1 automatic, 0 off) or *level*, told as *field*."""

    field: str
    budget: int | None = None
    level: str | None = None
    thoughts: bool | None = None

    @property
    def amount(self) -> int | str | None:
        """Give how much thinking is asked for, in either way."""
        return self.level if self.budget is None else self.budget


def translate(translating: Translating) -> Json | None:
    """Give Gemini's `thinkingConfig`; None where nothing is asked for, or nothing can be."""
    name = translating.name
    if name.level is None and name.budget is None and not translating.tells(_FIELDS):
        return None
    wish = _wish(translating)
    if wish is None:
        return None
    if translating.can.thinking == "none":
        if wish.budget != 0:
            translating.note_drop(wish.field)
        return None
    config: Json = {}
    if wish.thoughts is not None:
        config["includeThoughts"] = wish.thoughts
    if wish.budget is not None or wish.level is not None:
        amount = _budget if translating.can.thinking == "budget" else _level
        config.update(amount(translating, wish))
    if config.get("thinkingBudget") == 0 and config.get("includeThoughts"):
        # Refused: "only enabled when thinking is enabled".
        config["includeThoughts"] = False
    return config or None


def _wish(translating: Translating) -> _Wish | None:
    found = [
        wish
        for wish in (
            _by_native(translating),
            _by_thinking(translating.payload.get("thinking")),
            _by_effort(translating.payload.get("reasoning_effort"), "reasoning_effort"),
            _by_reasoning(translating.payload.get("reasoning")),
            _by_name(translating),
        )
        if wish is not None
    ]
    if not found:
        return None
    amount = next((wish for wish in found if wish.amount is not None), found[0])
    thoughts = next((wish.thoughts for wish in found if wish.thoughts is not None), None)
    for wish in found:
        if wish.amount not in (None, amount.amount) and wish.field != "model":
            translating.notes.drop(wish.field)
    return _Wish(amount.field, amount.budget, amount.level, thoughts)


def _by_native(translating: Translating) -> _Wish | None:
    setting = translating.google.get("thinkingConfig")
    if setting is None:
        return None
    path = "google.thinking_config"
    config = native.fit(setting, native.THINKING_CONFIG, path, translating.notes)
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
        translating.notes.drop(f"{path}.thinking_budget")
        budget = None
    return _Wish(path, budget, level, config.get("includeThoughts"))


def _by_thinking(setting: Any) -> _Wish | None:
    if setting is None:
        return None
    kind = setting.get("type") or "enabled"
    if kind == "disabled":
        return _Wish("thinking", budget=0, thoughts=False)
    budget = setting.get("budget_tokens")
    return _Wish("thinking", budget=-1 if budget is None else int(budget), thoughts=True)


def _by_effort(effort: Any, field: str) -> _Wish | None:
    if effort is None:
        return None
    if effort == "none":
        return _Wish(field, budget=0, thoughts=False)
    if effort not in _EFFORTS:
        raise BadRequest(
            f"{str(effort)[:64]!r} is not one of none, {', '.join(_EFFORTS)}.", param=field
        )
    if effort in ("xhigh", "max"):
        return _Wish(field, budget=_STRONGEST, thoughts=True)
    return _Wish(field, level=_EFFORTS[effort], thoughts=True)


def _by_reasoning(setting: Any) -> _Wish | None:
    """Read OpenRouter's form."""
    if not setting:
        return None
    show_thoughts = None if setting.get("exclude") is None else not setting["exclude"]
    if setting.get("enabled") is False:
        return _Wish("reasoning", budget=0, thoughts=False)
    if setting.get("max_tokens") is not None:
        return _Wish(
            "reasoning", budget=int(setting["max_tokens"]), thoughts=show_thoughts is not False
        )
    wish = _by_effort(setting.get("effort"), "reasoning.effort")
    if wish is None:
        return _Wish("reasoning", thoughts=show_thoughts is not False)
    return _Wish(wish.field, wish.budget, wish.level, wish.thoughts and show_thoughts is not False)


def _by_name(translating: Translating) -> _Wish | None:
    name = translating.name
    if name.level is not None:
        return _Wish("model", level=name.level.upper(), thoughts=None)
    if name.budget is None:
        return None
    return _Wish("model", budget=name.budget, thoughts=True if name.thoughts else None)


def _budget(translating: Translating, wish: _Wish) -> Json:
    """Give the budget within the model's range; what had to be changed is noted."""
    can = translating.can
    if wish.level is not None:
        least, most = can.budgets
        return {"thinkingBudget": min(max(_BUDGETS[wish.level], least), most)}
    assert wish.budget is not None
    budget = wish.budget
    if budget == -1 or (budget == 0 and can.thinking_off):
        return {"thinkingBudget": budget}
    clamped = min(max(budget, can.budgets[0], 1), can.budgets[1])
    if budget not in (clamped, _STRONGEST):
        translating.notes.adjust(wish.field, str(clamped), "model")
    return {"thinkingBudget": clamped}


def _level(translating: Translating, wish: _Wish) -> Json:
    """Give the nearest level that the model has; what had to be changed is noted."""
    levels = translating.can.levels
    if wish.level is not None:
        wanted = wish.level
    elif wish.budget == -1:
        # The suffix promises thinking; elsewhere -1 leaves the amount to the model.
        return {"thinkingLevel": levels[-1]} if wish.field == "model" else {}
    else:
        wanted = _level_of(wish.budget or 0)
    level = min(
        levels, key=lambda candidate: (abs(_rank(candidate) - _rank(wanted)), -_rank(candidate))
    )
    if level != wanted or wish.budget == 0:
        translating.notes.adjust(wish.field, level.lower(), "model")
    return {"thinkingLevel": level}


def _level_of(budget: int) -> str:
    if budget <= 512:
        return "MINIMAL"
    return next((level for level in _LEVELS[1:3] if budget <= _BUDGETS[level]), "HIGH")


def _rank(level: str) -> int:
    return _LEVELS.index(level)
