"""The checked request, in the form that answers are made from."""

import re
from dataclasses import dataclass, field

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json
from gateway.simulator.strict.signatures import sign

_SIGNATURE_SIZE = re.compile(r"signature of (\d+) bytes")


@dataclass(slots=True)
class Chunk:
    """What one event adds: *parts*, and at the end *finish* with fields of the candidate."""

    parts: list[Json]
    finish: str | None = None
    extra: Json = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """One checked request: its body in one spelling, and the model that answers it."""

    body: Json
    model: Model
    question: str = field(init=False)
    config: Json = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.body.get("generationConfig") or {}
        self.question = "\n".join(self._texts()).strip()

    def _texts(self) -> list[str]:
        """Return the texts of the last turn that has any from the user."""
        for content in reversed(self.body["contents"]):
            if content.get("role") != "model":
                texts = [part["text"] for part in content["parts"] if part.get("text")]
                if texts:
                    return texts
        return []

    @property
    def turn(self) -> list[Json]:
        """Return the contents since the question, oldest first: calls, results, their media."""
        turn: list[Json] = []
        for content in reversed(self.body["contents"]):
            if content.get("role") != "model" and any(
                part.get("text") for part in content["parts"]
            ):
                break
            turn.append(content)
        return turn[::-1]

    @property
    def instructions(self) -> str:
        """Return what the client, or the gateway for it, says before all else."""
        system = self.body.get("systemInstruction") or {"parts": ()}
        parts = (*system["parts"], *self.body["contents"][0]["parts"])
        return "\n".join(part["text"] for part in parts if part.get("text"))

    @property
    def last(self) -> Json:
        """Return the last content."""
        content: Json = self.body["contents"][-1]
        return content

    @property
    def thinks(self) -> bool:
        """Tell whether the model thinks before this answer."""
        config = self.config.get("thinkingConfig") or {}
        if config.get("thinkingBudget") == 0 or config.get("thinkingLevel") == "MINIMAL":
            return False
        is_requested = "thinkingBudget" in config or "thinkingLevel" in config
        return self.model.thinking and (self.model.thinks or is_requested)

    @property
    def shows_thoughts(self) -> bool:
        """Tell whether thoughts were requested."""
        return self.thinks and bool(
            (self.config.get("thinkingConfig") or {}).get("includeThoughts")
        )

    def uses(self, name: str) -> bool:
        """Tell whether the built-in tool called *name* is on."""
        return any(name in tool for tool in self.body.get("tools") or ())

    def tool(self, name: str) -> Json:
        """Return the settings of the built-in tool called *name*, none if it is off."""
        for tool in self.body.get("tools") or ():
            if tool.get(name):
                settings: Json = tool[name]
                return settings
        return {}

    def signature(self) -> Json:
        """Return the thought signature of this answer as a part's field, or nothing."""
        if not (self.model.signs or (self.thinks and self.model.kind == "chat")):
            return {}
        size = _SIGNATURE_SIZE.search(self.question)
        return {"thoughtSignature": sign(self.model, int(size[1])) if size else sign(self.model)}

    def own_signature(self, at: int) -> Json:
        """Return a signature that only the image at position *at* has."""
        if not self.model.signs:
            return {}
        size = _SIGNATURE_SIZE.search(self.question)
        return {"thoughtSignature": sign(self.model, (int(size[1]) if size else 48) + at)}
