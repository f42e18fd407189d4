"""Counters and histograms for the request path: plain numbers, sampled only on demand.

A child of `prometheus_client` costs a lock and several calls for each number, 17 us per request in
all; these cost a dictionary look-up. Only the event loop writes; `collect` may run in a thread.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter: add to `by_labels[values of *labels*]`."""

    __slots__ = ("_about", "_labels", "_name", "by_labels")

    def __init__(self, name: str, about: str, labels: Labels) -> None:
        self._name = name
        self._about = about
        self._labels = labels
        self.by_labels: defaultdict[Labels, int] = defaultdict(int)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield one sample for each combination of labels that occurred."""
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        # Copied in one step: the loop may add a combination meanwhile.
        for labels, count in self.by_labels.copy().items():
            family.add_metric(labels, count)
        yield family


class _Buckets:
    """The count of each bucket, the last one for values above all bounds."""

    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.total = 0.0


class Histogram(Collector):
    """A histogram of seconds by one label, with upper *bounds* in ascending order."""

    __slots__ = ("_about", "_bounds", "_by_label", "_label", "_name")

    def __init__(self, name: str, about: str, label: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._about = about
        self._label = label
        self._bounds = bounds
        self._by_label: dict[str, _Buckets] = {}

    def observe(self, label: str, seconds: float) -> None:
        """Count *seconds* under *label*."""
        buckets = self._by_label.get(label)
        if buckets is None:
            buckets = self._by_label[label] = _Buckets(len(self._bounds))
        buckets.counts[bisect_left(self._bounds, seconds)] += 1
        buckets.total += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the samples of each label that occurred."""
        family = HistogramMetricFamily(self._name, self._about, labels=(self._label,))
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for label, buckets in self._by_label.copy().items():
            samples = list(zip(bounds, accumulate(buckets.counts.copy()), strict=True))
            family.add_metric((label,), samples, buckets.total)
        yield family
