"""The tools that make and measure load."""

import shutil
from dataclasses import replace

import pytest

from benchmarks import measure, scenarios, targets
from benchmarks.scenarios import Scenario

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) here")
RELAY = next(target for target in targets.ALL if target.name == "relay")
STREAMS = Scenario("streams", "stream", 4, events=7, seconds=0.3, warm_s=0.1)


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
