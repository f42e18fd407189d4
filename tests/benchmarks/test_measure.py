"""The tools that make and measure load."""

import shutil
from dataclasses import replace

import pytest

from benchmarks import measure, scenarios, targets
from benchmarks.scenarios import Scenario

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) here")
RELAY = next(target for target in targets.ALL if target.name == "relay")
STREAMS = Scenario("streams", "stream", 4, events=7, seconds=1.0, warm_s=0.1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with measure.upstream() as upstream:
        yield measure.Bench(tmp_path_factory.mktemp("bench"), upstream, 1.0)


@pytest.fixture(scope="module")
def relay(bench):
    with bench.start(RELAY) as running:
        yield running


def test_the_relay_answers_streams_whole(bench, relay):
    found = bench.measure(relay, STREAMS)
    assert found["errors"] == 0
    assert found["per_s"] > 7
    assert found["cpu_us"] > 0


def test_an_answer_without_its_end_is_an_error(bench, relay, capsys):
    spoiled = replace(relay, target=replace(relay.target, done="never said"))
    assert bench.measure(spoiled, STREAMS)["errors"] > 0
    assert "incomplete" in capsys.readouterr().err


def test_pictures_reach_the_upstream_whole(bench, relay):
    found = bench.measure(relay, Scenario("body", "body", 1, image_mb=1, seconds=0.3))
    assert found["errors"] == 0
    assert found["copies"] > 0


def test_a_picture_is_as_large_as_it_is_called():
    assert 0 <= scenarios.MB - len(scenarios.picture(1)) < 10_000


def test_targets_take_turns_there_and_back_on_what_needs_no_new_start(bench, monkeypatch):
    measured = []
    monkeypatch.setattr(
        measure.Bench, "measure", lambda _, running, __: measured.append(running) or {}
    )
    short = Scenario("short", "short", 1)
    other = replace(RELAY, name="other")
    found = bench.round([RELAY, other], [short])
    assert [running.target.name for running in measured] == [
        *("relay", "other"),
        *("other", "relay"),
        *("relay", "other"),
    ]
    assert [len(turns) for turns in found.values()] == [measure.TURNS] * 2
    assert found["relay"][0]["start.s"] > 0


def test_streams_are_counted_up_to_the_first_level_that_is_not_held(bench, monkeypatch):
    measured = []

    def measure_fresh(_, target, scenario):
        measured.append((target.name, scenario.connections))
        late = target.name == "slow" and scenario.connections > 100
        return {"errors": 0, "delivered": 1.0, "delay_p99_us": 300_000.0 if late else 1.0}

    monkeypatch.setattr(measure.Bench, "measure_fresh", measure_fresh)
    slow = replace(RELAY, name="slow")
    found = bench.held([RELAY, slow], (100, 500, 750))
    assert {name: own["held.streams"] for name, own in found.items()} == {"relay": 750, "slow": 100}
    assert measured == [
        ("relay", 100),
        ("slow", 100),
        ("relay", 500),
        ("slow", 500),
        ("relay", 750),
    ]
