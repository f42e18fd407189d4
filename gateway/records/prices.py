"""What a reply costs, by the configured prices: an estimate in USD.

The shipped table, with its date and source, is in `gateway/defaults.toml`; `[models.prices]` of
`config.toml` adds to it. Google announces most changes: a price may name the `next` one and the day
it begins.
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import inf
from typing import Final

from gateway.exchange import Usage
from gateway.settings import Price, Rates

Estimate = Callable[[Usage], float]

_MIDNIGHT: Final = datetime.min.time()
_PER_TOKEN = 1e-6
_PER_SEARCH = 1e-3
# A token of the cheapest model costs 1e-8; digits beyond that are noise of binary fractions.
_PARTS_OF_USD = 1e10
# The suffixes of versions of one model, which share one price.
_VERSION: Final = re.compile(
    r"(?P<model>.+?)(?:-preview)?(?:-\d{2}-(?:\d{2}|\d{4})|-\d{3}|-customtools)?"
)


class Prices:
    """The prices of models by name. *clock* returns seconds since 1970."""

    __slots__ = ("_clock", "_configured", "_estimates", "_tiers", "_until")

    _configured: Mapping[str, Price]
    _tiers: Mapping[str, float]
    _estimates: dict[str, Estimate]
    _until: float

    def __init__(
        self,
        table: Mapping[str, Price],
        tiers: Mapping[str, float] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self.configure(table, tiers or {})

    def configure(self, table: Mapping[str, Price], tiers: Mapping[str, float]) -> None:
        """Replace the table and the tiers; a tier is given by its multiple of the price."""
        self._configured, self._tiers = table, tiers
        self._renew()

    def cost(self, model: str, usage: Usage) -> float | None:
        """Estimate the cost of *usage* of *model* in USD; None where no price is known."""
        if self._clock() >= self._until:
            self._renew()
        estimate = self._estimates.get(model) or self._of_version(model)
        return None if estimate is None else estimate(usage)

    def _of_version(self, model: str) -> Estimate | None:
        """Return the price of the model that *model* is a preview or a numbered version of."""
        match = _VERSION.fullmatch(model)
        if match is None:
            return None
        name = match["model"]
        return self._estimates.get(name) or self._estimates.get(f"{name}-preview")

    def _renew(self) -> None:
        """Select the prices that apply now, and note until when they do."""
        now = self._clock()
        current = {model: _current(price, now) for model, price in self._configured.items()}
        self._estimates = {model: _estimate(price, self._tiers) for model, price in current.items()}
        self._until = min(map(_end_of, current.values()), default=inf)


def _current(price: Price, now: float) -> Price:
    """Return the price that follows from *price* by *now*."""
    while price.next is not None and _end_of(price) <= now:
        price = price.next
    return price


def _end_of(price: Price) -> float:
    """Return when the next price replaces *price*, in seconds since 1970."""
    if price.next is None:
        return inf
    return datetime.combine(price.next.since, _MIDNIGHT, UTC).timestamp()


def _estimate(price: Price, tiers: Mapping[str, float]) -> Estimate:
    above = price.long.above if price.long else inf
    standard = _by_length(price, 1.0)
    others = {tier: _by_length(price, share) for tier, share in tiers.items()}
    query = price.search_queries * _PER_SEARCH
    web_prompt, map_prompt = price.search_prompts * _PER_SEARCH, price.map_prompts * _PER_SEARCH

    def estimate(usage: Usage) -> float:
        usual, long = others.get(usage.tier, standard)
        tokens = (long if usage.prompt > above * usage.calls else usual)(usage)
        if not (usage.searches or usage.maps):
            return tokens
        prompt = (web_prompt if usage.searches else 0) + (map_prompt if usage.maps else 0)
        return _rounded(tokens + (usage.searches + usage.maps) * query + usage.calls * prompt)

    return estimate


def _by_length(price: Price, share: float) -> tuple[Estimate, Estimate]:
    """Return the estimators for normal and for long prompts at *share* of the price."""
    usual = _by_rates(price, share)
    return usual, _by_rates(price.long, share) if price.long else usual


def _by_rates(rates: Rates, share: float) -> Estimate:
    fresh, output = rates.input * share, rates.output * share
    audio = _or_default(rates.audio_input, rates.input) * share
    image_out = _or_default(rates.image_output, rates.output) * share
    audio_out = _or_default(rates.audio_output, rates.output) * share
    video_out = _or_default(rates.video_output, rates.output) * share
    # Cheaper tiers only discount new tokens; cached ones keep their price with most models.
    cached_share = max(share, 1.0)
    cached = fresh if rates.cached is None else rates.cached * cached_share
    audio_cached = cached if rates.audio_cached is None else rates.audio_cached * cached_share

    def estimate(usage: Usage) -> float:
        other_out = usage.image_output or usage.audio_output or usage.video_output
        if not (usage.cached or usage.audio_input or other_out):
            # Only text, as is nearly always the case.
            text = usage.prompt * fresh + usage.completion * output
            return _rounded(text * _PER_TOKEN)
        # Upstream was seen to count more cached tokens than the prompt has; a part may not exceed
        # its whole.
        cached_tokens = min(usage.cached, usage.prompt)
        cached_audio = min(usage.audio_cached, cached_tokens)
        new = usage.prompt - cached_tokens
        new_audio = min(max(0, usage.audio_input - cached_audio), new)
        images = min(usage.image_output, usage.completion)
        sound = min(usage.audio_output, usage.completion - images)
        video = min(usage.video_output, usage.completion - images - sound)
        millions = (
            (new - new_audio) * fresh
            + new_audio * audio
            + (cached_tokens - cached_audio) * cached
            + cached_audio * audio_cached
            + (usage.completion - images - sound - video) * output
            + images * image_out
            + sound * audio_out
            + video * video_out
        )
        return _rounded(millions * _PER_TOKEN)

    return estimate


def _rounded(usd: float) -> float:
    # `round` goes through the decimal text, which takes ten times as long.
    return int(usd * _PARTS_OF_USD + 0.5) / _PARTS_OF_USD


def _or_default(price: float | None, other: float) -> float:
    return other if price is None else price
