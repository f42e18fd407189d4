"""Model names and what each model can do: one table that everything else reads.

A name may carry a suffix that asks for thinking (`-thinking`, `-thinking-<budget>`, `-nothinking`)
or for a level of it (`-low`, `-medium`, `-high`); no upstream model has one. What a model refuses
is given as names of features; `gateway.features` knows what each means for the request body.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from gateway.errors import BadRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SUFFIX = re.compile(r"-(?:thinking(?:-(?P<budget>\d{1,6}))?|(?P<off>nothinking))$")
# Only Google's own names: other names may end in a word like "high" themselves.
_LEVEL_SUFFIX = re.compile(r"(?<=.)-(?P<level>low|medium|high)$")


@dataclass(frozen=True, slots=True)
class ModelName:
    """A parsed name. *base* goes upstream; the rest is what its suffix asks for.

    *budget* is in tokens, -1 leaves it to the model, 0 turns thinking off; *thoughts* asks to see
    them.
    """

    base: str
    budget: int | None = None
    level: str | None = None
    thoughts: bool = False


@lru_cache(maxsize=1024)
def parse(name: str) -> ModelName:
    """Parse *name*. Raises `BadRequest` for a name that no model can have."""
    name = name.removeprefix("models/")
    if not _NAME.fullmatch(name):
        raise BadRequest(
            "A model name has letters, digits, '.', '_' and '-', at most 128 of them.",
            param="model",
        )
    if match := _SUFFIX.search(name):
        base = name[: match.start()]
        if match["off"]:
            return ModelName(base, budget=0)
        return ModelName(base, budget=int(match["budget"] or -1), thoughts=True)
    if name.startswith("gemini-") and (match := _LEVEL_SUFFIX.search(name)):
        return ModelName(name[: match.start()], level=match["level"])
    return ModelName(name)


def base_name(name: str) -> str:
    """Return the upstream part of *name*. Raises `BadRequest` for a name that no model can have."""
    return parse(name).base


def answering(version: object) -> str | None:
    """Return the model that *version*, the `modelVersion` of an answer, names; None if it does not.

    Google writes it with and without `models/`.
    """
    if type(version) is not str:
        return None
    name = version.removeprefix("models/")
    return name if _NAME.fullmatch(name) else None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model can do.

    *thinking* is how it is controlled: "budget" (tokens within *budgets*, 0 too if
    *thinking_off*), "level" (one of *levels*, weakest first) or "none". *outputs* are its
    response modalities. *signed_calls*: function calls in the history need a thought signature;
    *call_ids*: every call has an id; *result_media*: function results may hold media;
    *part_resolution*: media resolution can be set for one part. *refuses* are features.
    """

    thinking: str = "level"
    budgets: tuple[int, int] = (0, 24_576)
    thinking_off: bool = True
    levels: tuple[str, ...] = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
    outputs: tuple[str, ...] = ("TEXT",)
    signed_calls: bool = True
    call_ids: bool = False
    result_media: bool = True
    part_resolution: bool = True
    refuses: frozenset[str] = frozenset()


_UP_TO_25 = frozenset({"builtins_with_functions", "json_with_tools"})
_SPEECH_REFUSES = frozenset({"system", "functions", "builtins", "candidates", "json"})
_DRAWING_REFUSES = frozenset({"functions", "candidates", "json"})
_OLD: dict[str, Any] = {
    "thinking": "none",
    "signed_calls": False,
    "result_media": False,
    "part_resolution": False,
    "refuses": _UP_TO_25,
}

# The first matching pattern counts (ai.google.dev/gemini-api/docs: thinking, latest-model,
# image-generation, speech-generation, media-resolution; changelog of 2026). A name without a match
# is taken for a newest model.
_TABLE: tuple[tuple[str, dict[str, Any]], ...] = (
    (r".*-tts", {**_OLD, "outputs": ("AUDIO",), "refuses": _UP_TO_25 | _SPEECH_REFUSES}),
    (
        r"gemini-2\.5-flash-image|gemini-2\.0-.*image",
        {
            **_OLD,
            "outputs": ("TEXT", "IMAGE"),
            "refuses": _UP_TO_25 | _DRAWING_REFUSES | {"system", "builtins", "image_size"},
        },
    ),
    (
        r"gemini-3\.1-flash-lite-image",
        {
            "levels": ("MINIMAL", "HIGH"),
            "outputs": ("TEXT", "IMAGE"),
            "refuses": _DRAWING_REFUSES | {"builtins"},
        },
    ),
    (
        r"gemini-.*image|gemini-nano-banana",
        {
            "thinking": "none",
            "outputs": ("TEXT", "IMAGE"),
            "refuses": _DRAWING_REFUSES,
        },
    ),
    (
        r"gemma-[1-3]",
        {**_OLD, "refuses": _UP_TO_25 | {"system", "functions", "builtins", "json"}},
    ),
    (r"gemini-embedding-2", {"refuses": frozenset({"task_type"})}),
    (
        r"gemma-",
        {"levels": ("MINIMAL", "HIGH"), "signed_calls": False, "part_resolution": False},
    ),
    (r"gemini-(?:1|2\.0)|learnlm", _OLD),
    (
        r"gemini-2\.5-pro",
        {**_OLD, "thinking": "budget", "budgets": (128, 32_768), "thinking_off": False},
    ),
    (r"gemini-2\.5-flash-lite", {**_OLD, "thinking": "budget", "budgets": (512, 24_576)}),
    (r"gemini-2\.5-|gemini-robotics", {**_OLD, "thinking": "budget"}),
    (r"gemini-3-pro", {"levels": ("LOW", "HIGH")}),
    (r"gemini-3\.1-pro|gemini-pro-latest", {"levels": ("LOW", "MEDIUM", "HIGH")}),
    (r"gemini-3(?:\.[0-4])?-", {}),
    (
        r"gemini-3\.5-flash-lite|gemini-flash-lite-latest|gemini-3\.6-",
        {"call_ids": True, "refuses": frozenset({"sampling"})},
    ),
    (r"gemini-3\.5-", {"call_ids": True}),
    (
        r"",
        {
            "levels": ("LOW", "MEDIUM", "HIGH"),
            "call_ids": True,
            "refuses": frozenset({"sampling", "candidates", "penalties"}),
        },
    ),
)
_PATTERNS = tuple((re.compile(pattern), facts) for pattern, facts in _TABLE)


@lru_cache(maxsize=512)
def capabilities(base: str) -> Capabilities:
    """Return what the model *base*, a name without suffix, can do."""
    facts = next(facts for pattern, facts in _PATTERNS if pattern.match(base))
    return replace(Capabilities(), **facts)
