"""What a reply costs, by the configured prices: an estimate in USD.

The shipped table, with its date and source, is in `gateway/defaults.toml`; `[models.prices]` of
`config.toml` adds to it.
"""

from collections.abc import Callable, Mapping

from gateway.exchange import Usage
from gateway.settings import Price

_PER_TOKEN = 1e-6
# A token of the cheapest model costs 1e-8; what binary fractions add behind that is noise.
_DECIMALS = 10


class Prices:
    """The prices of models by name."""

    __slots__ = ("_table",)

    def __init__(self, table: Mapping[str, Price]) -> None:
        self.configure(table)

    def configure(self, table: Mapping[str, Price]) -> None:
        """Take *table* for the one before."""
        self._table = {model: _estimate(price) for model, price in table.items()}

    def of(self, model: str) -> Callable[[Usage], float] | None:
        """Give what estimates the USD for the usage of *model*; None where no price is known."""
        return self._table.get(model)

    def cost(self, model: str, usage: Usage) -> float | None:
        """Estimate the USD for *usage* of *model*; None where no price is known."""
        estimate = self._table.get(model)
        return None if estimate is None else estimate(usage)


def _estimate(price: Price) -> Callable[[Usage], float]:
    fresh, output = price.input, price.output
    cached = _else(price.cached, fresh)
    audio, image_out = _else(price.audio_input, fresh), _else(price.image_output, output)
    audio_cached = _else(price.audio_cached, cached)
    audio_out = _else(price.audio_output, output)

    def estimate(usage: Usage) -> float:
        if not (usage.cached or usage.audio_input or usage.image_output or usage.audio_output):
            # Nothing but text, as nearly always.
            text = usage.prompt * fresh + usage.completion * output
            return round(text * _PER_TOKEN, _DECIMALS)
        # Upstream was seen to count more cached tokens than the prompt has; no part may be more
        # than its whole.
        held = min(usage.cached, usage.prompt)
        held_audio = min(usage.audio_cached, held)
        new = usage.prompt - held
        new_audio = min(max(0, usage.audio_input - held_audio), new)
        images = min(usage.image_output, usage.completion)
        sound = min(usage.audio_output, usage.completion - images)
        millions = (
            (new - new_audio) * fresh
            + new_audio * audio
            + (held - held_audio) * cached
            + held_audio * audio_cached
            + (usage.completion - images - sound) * output
            + images * image_out
            + sound * audio_out
        )
        return round(millions * _PER_TOKEN, _DECIMALS)

    return estimate


def _else(price: float | None, other: float) -> float:
    return other if price is None else price
