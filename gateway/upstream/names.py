"""Model names that are redirected: aliases, and replacements of models that Google shut down.

An alias always applies. A replacement is used once upstream says that the model does not exist, and
remembered for an hour.
"""

from collections.abc import Callable, Mapping

from gateway.settings import Models

REMEMBER_S = 3600.0


class ModelNames:
    """Where each name leads now. *clock* returns monotonic seconds."""

    __slots__ = ("_aliases", "_clock", "_fallbacks", "_learned", "_replacements")

    def __init__(self, settings: Models, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._learned: dict[str, float] = {}
        self.configure(settings)

    def configure(self, settings: Models) -> None:
        """Replace the tables; what was learned stays."""
        self._aliases: Mapping[str, str] = settings.aliases
        self._replacements = {name: new.model for name, new in settings.replacements.items()}
        self._fallbacks: Mapping[str, tuple[str, ...]] = settings.fallbacks

    def resolve(self, model: str) -> str:
        """Return the name to ask for instead of *model*, mostly *model* itself."""
        if model in self._aliases:
            model = self._aliases[model]
        if self._learned and self._learned.get(model, 0.0) > self._clock():
            return self._replacements.get(model, model)
        return model

    def replace(self, model: str) -> str | None:
        """Learn that *model* does not exist; return its replacement, if it has one."""
        replacement = self._replacements.get(model)
        if replacement is not None:
            self._learned[model] = self._clock() + REMEMBER_S
        return replacement

    def fallbacks(self, model: str) -> tuple[str, ...]:
        """Return the models that may answer when *model* cannot."""
        return self._fallbacks.get(model, ())
