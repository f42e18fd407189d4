"""The one table of models: which exist and what each can do. State of November 2026.

Models that were shut down are absent: they get Google's 404.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["chat", "image", "tts", "video", "transcribe", "embedding"]
Version = tuple[int, int]

# What each model samples with by default, as its card says.
SAMPLING = {"temperature": 1, "topP": 0.95, "topK": 64}
LOW_TO_HIGH = ("LOW", "MEDIUM", "HIGH")
MINIMAL_TO_HIGH = ("MINIMAL", *LOW_TO_HIGH)


@dataclass(frozen=True, slots=True)
class Model:
    """What one model is and can do.

    *budget* is the least and greatest thinking budget, *levels* the thinking levels; a model with
    neither does not think. *refuses* holds names of features that it answers with a 400.
    """

    name: str
    version: Version
    kind: Kind = "chat"
    limits: tuple[int, int] = (1_048_576, 65_536)
    budget: tuple[int, int] | None = None
    budget_off: bool = False
    levels: tuple[str, ...] = ()
    thinks: bool = True
    ids: bool = False
    refuses: frozenset[str] = field(default_factory=frozenset)

    @property
    def thinking(self) -> bool:
        """Tell whether it takes a thinkingConfig."""
        return self.budget is not None or bool(self.levels)

    @property
    def signs(self) -> bool:
        """Tell whether it requires thought signatures for its function calls."""
        return self.version >= (3, 0) and self.kind in {"chat", "image"}

    @property
    def outputs(self) -> frozenset[str]:
        """Return the response modalities that it can produce."""
        return _OUTPUTS[self.kind]

    @property
    def methods(self) -> tuple[str, ...]:
        """Return the names of the methods that it serves."""
        if self.kind == "embedding":
            return ("embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent")
        return ("generateContent", "countTokens", "createCachedContent", "batchGenerateContent")

    def card(self) -> dict[str, Any]:
        """Return its entry in the list of models."""
        return {
            "name": f"models/{self.name}",
            "version": ".".join(map(str, self.version)),
            "displayName": self.name.replace("-", " ").title(),
            "description": "A simulated model.",
            "inputTokenLimit": self.limits[0],
            "outputTokenLimit": self.limits[1],
            "supportedGenerationMethods": list(self.methods),
            **SAMPLING,
            "maxTemperature": 2,
            "thinking": self.thinking,
        }


_OUTPUTS: dict[Kind, frozenset[str]] = {
    "chat": frozenset({"TEXT"}),
    "transcribe": frozenset({"TEXT"}),
    "image": frozenset({"TEXT", "IMAGE"}),
    "tts": frozenset({"AUDIO"}),
    "video": frozenset({"TEXT", "VIDEO"}),
    "embedding": frozenset(),
}
_PENALTIES = frozenset({"penalties"})
_FIXED = _PENALTIES | {"sampling"}
_SINGLE = _FIXED | {"candidates"}
_DRAWS = _PENALTIES | {"candidates", "functions", "code", "maps", "urls", "json"}
_SPEAKS = _DRAWS | {"search", "system", "media", "history"}
_IMAGE_LIMITS = (65_536, 32_768)
_SPEECH_LIMITS = (8_192, 16_384)

_ALL = (
    Model("gemini-2.5-pro", (2, 5), budget=(128, 32_768)),
    Model("gemini-2.5-flash", (2, 5), budget=(0, 24_576), budget_off=True, refuses=_PENALTIES),
    Model(
        "gemini-2.5-flash-lite", (2, 5), budget=(512, 24_576), budget_off=True, thinks=False,
        refuses=_PENALTIES,
    ),
    Model(
        "gemini-2.5-flash-image", (2, 5), "image", _IMAGE_LIMITS,
        refuses=_DRAWS | {"search", "system", "image_size", "long_ratios"},
    ),
    Model("gemini-3-flash-preview", (3, 0), levels=MINIMAL_TO_HIGH, ids=True, refuses=_PENALTIES),
    Model("gemini-3-pro-image", (3, 0), "image", _IMAGE_LIMITS, levels=("HIGH",), refuses=_DRAWS),
    Model("gemini-3.1-pro-preview", (3, 1), levels=LOW_TO_HIGH, refuses=_PENALTIES),
    Model("gemini-3.1-pro-preview-customtools", (3, 1), levels=LOW_TO_HIGH, refuses=_PENALTIES),
    Model(
        "gemini-3.1-flash-lite", (3, 1), levels=MINIMAL_TO_HIGH, thinks=False,
        refuses=_PENALTIES,
    ),
    Model(
        "gemini-3.1-flash-image", (3, 1), "image", (131_072, 32_768), levels=MINIMAL_TO_HIGH,
        refuses=_DRAWS,
    ),
    Model(
        "gemini-3.1-flash-lite-image", (3, 1), "image", (65_536, 4_096), levels=("MINIMAL", "HIGH"),
        refuses=_DRAWS | {"search", "large_images"},
    ),
    Model("gemini-3.5-flash", (3, 5), levels=MINIMAL_TO_HIGH, ids=True, refuses=_PENALTIES),
    Model(
        "gemini-3.5-flash-lite", (3, 5), levels=MINIMAL_TO_HIGH, ids=True, thinks=False,
        refuses=_FIXED,
    ),
    Model("gemini-3.6-flash", (3, 6), levels=MINIMAL_TO_HIGH, ids=True, refuses=_PENALTIES),
    Model("gemini-3.7-flash", (3, 7), levels=LOW_TO_HIGH, ids=True, refuses=_SINGLE),
    Model("gemini-3.8-flash", (3, 8), levels=LOW_TO_HIGH, ids=True, refuses=_SINGLE),
    Model("gemini-flash-latest", (3, 8), levels=LOW_TO_HIGH, ids=True, refuses=_SINGLE),
    Model(
        "gemini-4-argon", (4, 0), limits=(1_048_576, 1_048_576), levels=LOW_TO_HIGH, ids=True,
        refuses=_SINGLE,
    ),
    Model(
        "gemini-nano-banana-2.1", (3, 8), "image", (131_072, 32_768), levels=MINIMAL_TO_HIGH,
        refuses=_DRAWS,
    ),
    Model("gemini-omni-1.1-flash", (3, 8), "video", refuses=_DRAWS),
    Model("gemini-3.8-flash-tts", (3, 8), "tts", _SPEECH_LIMITS, refuses=_SPEAKS),
    Model("gemini-3.8-flash-lite-tts", (3, 8), "tts", _SPEECH_LIMITS, refuses=_SPEAKS),
    Model("gemini-3.5-transcribe", (3, 5), "transcribe", (98_304, 32_768), refuses=_DRAWS),
    Model("gemini-embedding-001", (2, 5), "embedding", (2_048, 1)),
    Model("gemini-embedding-2", (3, 0), "embedding", (8_192, 1), refuses=frozenset({"task_type"})),
    Model("gemma-4-26b-a4b-it", (2, 5), limits=(262_144, 32_768), refuses=_PENALTIES),
    Model("gemma-4-31b-it", (2, 5), limits=(262_144, 32_768), refuses=_PENALTIES),
)  # fmt: skip

MODELS: dict[str, Model] = {model.name: model for model in _ALL}
