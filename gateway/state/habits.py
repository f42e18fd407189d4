"""The usual demand of a license's requests, so that as much can be reserved in advance.

Kept per license and model: one license writes summaries with a small model and programs with a
large one, and another the other way round. A model it did not use before starts with the average.
"""

from collections import OrderedDict
from typing import Final

# A license that uses more models than this forgets the least recently used one.
MOST_MODELS: Final = 64
# The share of a difference that counts at once.
_RISE: Final = 0.5
_FALL: Final = 0.1


class Habit:
    """The usual demand of one kind of request: follows a rise fast, a fall slowly."""

    __slots__ = ("output_tokens", "usd")

    def __init__(self, output_tokens: float, usd: float = 1.0) -> None:
        self.output_tokens = output_tokens
        self.usd = usd

    def learn(self, output_tokens: int, usd: int) -> None:
        """Take one finished request into account; *usd* in billionths."""
        more = output_tokens - self.output_tokens
        self.output_tokens += more * (_RISE if more > 0 else _FALL)
        more = usd - self.usd
        self.usd += more * (_RISE if more > 0 else _FALL)


class Habits:
    """The habits of one license: *usual* for all its requests, and one per model."""

    __slots__ = ("_models", "usual")

    def __init__(self, output_tokens: float) -> None:
        self.usual = Habit(output_tokens)
        self._models: OrderedDict[str, Habit] = OrderedDict()

    def of(self, model: str) -> Habit:
        """Return the habit with *model*, or the usual one if there is none yet."""
        return self._models.get(model, self.usual)

    def learn(self, model: str, output_tokens: int, usd: int) -> None:
        """Take one finished request to *model* into account; *usd* in billionths."""
        habit = self._models.get(model)
        if habit is None:
            habit = self._models[model] = Habit(self.usual.output_tokens, self.usual.usd)
            if len(self._models) > MOST_MODELS:
                self._models.popitem(last=False)
        else:
            self._models.move_to_end(model)
        habit.learn(output_tokens, usd)
        self.usual.learn(output_tokens, usd)
