"""What a reply costs, by the configured prices: an estimate in USD.

The shipped table, with its date and source, is in `gateway/defaults.toml`; `[models.prices]` of
`config.toml` adds to it.
"""

from collections.abc import Callable, Mapping

from gateway.exchange import Usage
from gateway.settings import Price

_PER_TOKEN = 1e-6


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
    fresh, output = price.input * _PER_TOKEN, price.output * _PER_TOKEN
    cached = fresh if price.cached is None else price.cached * _PER_TOKEN

    def estimate(usage: Usage) -> float:
        # Upstream was seen to count more cached tokens than the prompt has.
        held = min(usage.cached, usage.prompt)
        return (usage.prompt - held) * fresh + held * cached + usage.completion * output

    return estimate
