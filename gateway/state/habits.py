"""What the requests of a license usually use, so that as much can be reserved before they are over.

Kept per license and model: one license writes summaries with a small model and programs with a
large one, and another the other way round. A model it did not use before begins as the others did.
"""

from collections import OrderedDict
from typing import Final

# A license that asks for more models than this forgets the one it used least recently.
MOST_MODELS: Final = 64


class Habit:
    """What one kind of request usually uses: follows a rise at once, a fall slowly."""

    __slots__ = ("output_tokens", "usd")

    def __init__(self, output_tokens: float, usd: float = 1.0) -> None:
        self.output_tokens = output_tokens
        self.usd = usd

    def learn(self, output_tokens: int, usd: int) -> None:
        """Take one finished request into account; *usd* in billionths."""
        self.output_tokens = _followed(self.output_tokens, output_tokens)
        self.usd = _followed(self.usd, usd)


class Habits:
    """The habits of one license: *usual* of all its requests, and of those to each model."""

    __slots__ = ("_models", "usual")

    def __init__(self, output_tokens: float) -> None:
        self.usual = Habit(output_tokens)
        self._models: OrderedDict[str, Habit] = OrderedDict()

    def of(self, model: str) -> Habit:
        """Give the habit with *model*, the usual one while there is none."""
        return self._models.get(model, self.usual)

    def learn(self, model: str, output_tokens: int, usd: int) -> None:
        """Take one finished request to *model* into account; *usd* in billionths."""
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = Habit(self.usual.output_tokens, self.usual.usd)
            if len(self._models) > MOST_MODELS:
                self._models.popitem(last=False)
        else:
            self._models.move_to_end(model)
        known.learn(output_tokens, usd)
        self.usual.learn(output_tokens, usd)


def _followed(usual: float, seen: float) -> float:
    return usual + (seen - usual) * (0.5 if seen > usual else 0.1)
