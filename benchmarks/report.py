"""Medians, ratios and bars of the measurements."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Rounds = dict[str, list[dict[str, float]]]
Medians = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar to meet: *figure* of *target*, compared with that of *base* by *how*."""

    what: str
    figure: str
    how: str
    bar: float
    dream: float
    target: str = "gateway"
    base: str = "relay"

    @property
    def at_least(self) -> bool:
        """Tell whether more is better."""
        return self.bar < self.dream


BARS = (
    Bar("short request, 1 connection, CPU", "short-1.cpu_us", "x", 1.5, 1.25),
    Bar("short request, 32, CPU", "short-32.cpu_us", "x", 1.5, 1.25),
    Bar("short request, 256, CPU", "short-256.cpu_us", "x", 1.5, 1.25),
    Bar("chunk in a burst, CPU", "burst.cpu_us", "x", 1.5, 1.1),
    Bar("chunk alone, CPU (one stream)", "alone-1.cpu_us", "x", 1.3, 1.1),
    Bar("chunk alone, CPU (100 streams)", "held-100.cpu_us", "x", 1.3, 1.1),
    Bar("added latency of a request, us", "short-1.p50_us", "+", 150, 50),
    Bar("added latency of a first chunk, us", "alone-1.first_us", "+", 150, 50),
    Bar("streams held", "held.streams", "x", 0.8, 1.0),
    Bar("streams held, by CPU of a chunk", "held-500.cpu_us", "/", 0.8, 1.0),
    Bar("memory of a held stream, KiB", "held-500.kib", "", 40, 25),
    Bar("15 MB picture, CPU", "body-15.cpu_us", "x", 2.0, 1.3),
    Bar("15 MB picture, copies", "body-15.copies", "", 4, 3),
    Bar("Valkey, CPU us a request", "short-32.cpu_us", "+", 80, 40, "gateway-valkey", "gateway"),
    Bar("two workers, by CPU", "workers-64.bound_us", "/", 1.8, 2.0, "workers-2", "workers-1"),
    Bar("with Valkey", "workers-64.bound_us", "/", 1.5, 2.0, "workers-2-valkey", "workers-1"),
)

# Fewer values have no meaningful quartiles.
FEW = 6
# Load and upstream share one core; beyond this they limit the rates.
BUSY_CORES = 0.9
HOW: dict[str, Callable[[float, float], float]] = {
    "x": lambda own, base: own / base if base else float("nan"),
    "/": lambda own, base: base / own if own else float("nan"),
    "+": lambda own, base: own - base,
    "": lambda own, _base: own,
}


def medians(rounds: Rounds) -> Medians:
    """Return the median of each figure over the rounds that have it."""
    return {target: _medians(figures) for target, figures in rounds.items()}


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {
        name: statistics.median(figures[name] for figures in rounds if name in figures)
        for name in names
    }


def compared(rounds: Rounds, bar: Bar) -> list[float]:
    """Return what *bar* compares, turn by turn; nothing where it was not measured."""
    pairs = zip(rounds.get(bar.target, ()), rounds.get(bar.base, ()), strict=False)
    return [
        HOW[bar.how](own[bar.figure], base[bar.figure])
        for own, base in pairs
        if bar.figure in own and bar.figure in base
    ]


def bars(rounds: Rounds) -> list[tuple[Bar, list[float]]]:
    """Return the bars that these rounds can answer, with the measurements of each round."""
    compared_bars = ((bar, compared(rounds, bar)) for bar in BARS)
    return [(bar, values) for bar, values in compared_bars if values]


def spread(values: list[float]) -> tuple[float, float]:
    """Return the bounds of the middle half of *values*; of all of them if they are few."""
    if len(values) < FEW:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def verdict(bar: Bar, values: list[float]) -> str:
    """Return the verdict on *values* in one word; undecided if the bar is within their `spread`."""
    sign = -1 if bar.at_least else 1
    met = [sign * value <= sign * bar.bar for value in spread(values)]
    if not any(met):
        return "MISSED"
    if not all(met):
        return "UNDECIDED"
    return "dream" if sign * statistics.median(values) <= sign * bar.dream else "held"


def saturated(rounds: Rounds) -> list[str]:
    """Return the loads whose own core was busy: their rates are not the server's."""
    return [
        f"{name.removesuffix('.load_cores')} ({target})"
        for target, figures in medians(rounds).items()
        for name, cores in figures.items()
        if name.endswith(".load_cores") and cores > BUSY_CORES
    ]


def table(rounds: Rounds) -> str:
    """Return the figures as text: medians, and in brackets the ratio to the first target."""
    medians_of = medians(rounds)
    targets = list(medians_of)
    figures = dict.fromkeys(name for own in medians_of.values() for name in own)
    lines = [_row("", targets)]
    for figure in figures:
        base = medians_of[targets[0]].get(figure)
        lines.append(_row(figure, (_cell(medians_of[name].get(figure), base) for name in targets)))
    return "\n".join(lines)


def bar_table(rounds: Rounds) -> str:
    """Return the bars as text: medians, and their `spread`."""
    lines = [f"{'':36}{'measured':>12}{'between':>18}{'bar':>10}{'dream':>9}"]
    for bar, values in bars(rounds):
        sign = ">=" if bar.at_least else "<="
        before, after = ("+", "") if bar.how == "+" else ("", "x" if bar.how else "")
        measured = f"{before}{statistics.median(values):.2f}{after}"
        low, high = spread(values)
        between = f"{low:.2f} to {high:.2f}"
        row = f"{bar.what:36}{measured:>12}{between:>18}{sign:>5}{bar.bar:>5g}{bar.dream:>9g}"
        lines.append(f"{row}  {verdict(bar, values)}")
    return "\n".join(lines)


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:26}" + "".join(f"{cell:>22}" for cell in cells)


def _cell(value: float | None, base: float | None) -> str:
    if value is None:
        return ""
    ratio = f" ({value / base:.2f})" if base else ""
    return _number(value) + ratio


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
