"""The state that all parts of one translation share."""

from dataclasses import dataclass, field

from gateway.dialects.openai_chat.embedded import ImageBudget
from gateway.dialects.openai_chat.schema.steps import Steps
from gateway.exchange import Json, Known, Notes
from gateway.models import Capabilities, ModelName


@dataclass(slots=True)
class Translation:
    """One request being translated.

    *google* holds the client's native fields as they came; *details* are the path and the requested
    resolution (None for the model's choice) of each medium, where it cannot be set for one part;
    *steps* is what is left for schemas.
    """

    payload: Json
    known: Known
    notes: Notes
    model: str
    name: ModelName
    can: Capabilities
    google: Json
    details: list[tuple[str, str | None]]
    steps: Steps = field(default_factory=Steps)
    _image_budget: ImageBudget | None = None

    @property
    def image_budget(self) -> ImageBudget:
        """How many images may still be looked for; made when needed, as few requests have any."""
        if self._image_budget is None:
            self._image_budget = ImageBudget()
        return self._image_budget

    def has_any(self, fields: frozenset[str]) -> bool:
        """Tell whether the client sent one of *fields*, or anything native: mostly it did not."""
        return bool(self.google) or not fields.isdisjoint(self.payload)

    def note_drop(self, name: str) -> None:
        """Note that the model cannot do what field *name* requests."""
        self.notes.adjust(name, "dropped", "model")
