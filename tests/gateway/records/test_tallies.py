from threading import Thread

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as LibraryHistogram
from prometheus_client.parser import text_string_to_metric_families

from gateway.records.tallies import Histogram, Tally

BOUNDS = (0.1, 0.5, 1)


def samples(*collectors) -> dict:
    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_a_tally_counts_by_its_labels():
    tally = Tally("seen", "What was seen.", ("kind", "place"))
    tally.by_labels["bird", "tree"] += 2
    tally.by_labels["bird", "pond"] += 1
    assert samples(tally) == {
        ("seen_total", ("kind", "bird"), ("place", "tree")): 2,
        ("seen_total", ("kind", "bird"), ("place", "pond")): 1,
    }


def test_a_histogram_gives_the_samples_that_the_librarys_own_histogram_gives():
    histogram = Histogram("took_seconds", "How long it took.", "route", BOUNDS)
    registry = CollectorRegistry()
    theirs = LibraryHistogram(
        "took_seconds", "How long it took.", ("route",), buckets=BOUNDS, registry=registry
    )
    for seconds in (0.0, 0.1, 0.10001, 0.5, 0.7, 1, 1.5, 900):
        histogram.observe("/a", seconds)
        theirs.labels("/a").observe(seconds)
    expected = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert samples(histogram) == expected


def test_they_can_be_read_while_they_grow():
    tally = Tally("seen", "What was seen.", ("number",))
    histogram = Histogram("took_seconds", "How long it took.", "route", BOUNDS)

    def grow() -> None:
        for number in range(20_000):
            tally.by_labels[(str(number),)] += 1
            histogram.observe(str(number % 500), 0.2)

    thread = Thread(target=grow)
    thread.start()
    while thread.is_alive():
        list(tally.collect())
        list(histogram.collect())
    thread.join()
    assert len(samples(tally)) == 20_000
